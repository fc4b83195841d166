"""Reading and writing label tables by path."""

from __future__ import annotations

import codecs
import re
from dataclasses import replace
from pathlib import Path

from segdesk.core.labels import Label, LabelTable
from segdesk.errors import ReadError, SegdeskError, UnsupportedFormat
from segdesk.io.atomic import replace_file
from segdesk.io.formats import Format, sniff
from segdesk.io.label_tables import delimited, itksnap
from segdesk.io.label_tables.dialects import TableFormat, format_of_name, format_of_text
from segdesk.io.label_tables.named_rows import FREESURFER, SLICER
from segdesk.io.label_tables.rows import bad_line

MAX_TABLE_BYTES = 1 << 24
"""16 MiB: 65535 labels with long names take less."""

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_label_table(path: Path | str) -> LabelTable:
    """Read the labels of a colour table, or of a mask that carries them.

    Parameters
    ----------
    path : path-like
        Slicer (.ctbl, .csv, .tsv), ITK-SNAP or FreeSurfer, told by the content; the
        extension decides where two would fit. A mask (DICOM SEG, RTSTRUCT, .seg.nrrd...)
        gives the table of its own labels.

    Returns
    -------
    LabelTable
        Numbers, names and colours, and the codes of Slicer's .csv; background (0) is never
        listed. Opacity and visibility are not kept.

    Raises
    ------
    ReadError
        Code ``bad_label_table`` with the number of the line; `UnsupportedFormat` when the
        file is neither a table nor a mask.
    """
    path = Path(path)
    kind = _mask_format(path)
    if kind is Format.RTSTRUCT:
        from segdesk.io.rtstruct.rasterise import labels_of
        from segdesk.io.rtstruct.structure_set import read_structure_set

        return LabelTable(labels_of(read_structure_set(path).rois)[0])
    if kind is not None:
        from segdesk.io.reading import read_labels

        return read_labels(path).table
    text = _content(path)
    # Not str.splitlines: it also breaks at characters that may stand in a name.
    lines = re.split(r"\r\n|\r|\n", text)
    form = format_of_text(lines, path)
    if form is TableFormat.ITKSNAP:
        return itksnap.parse(lines, path)
    if form is TableFormat.SLICER:
        return SLICER.parse(lines, path)
    if form is TableFormat.FREESURFER:
        return FREESURFER.parse(lines, path)
    return delimited.parse(text, path)


def write_label_table(
    table: LabelTable, path: Path | str, form: TableFormat | None = None, *, overwrite: bool = False
) -> None:
    """Write a label table; it is read back and compared before it appears.

    Parameters
    ----------
    table : LabelTable
        Number, name and colour come back exactly, coded meanings from .csv and .tsv. A name
        the format cannot hold (spaces in .ctbl) is written in its way, and kept as it is in a
        comment.
    path : path-like
        The extension names the format: `segdesk.io.label_tables.dialects.format_of_name`.
    form : TableFormat, optional
        Another format than the name says.
    overwrite : bool

    Raises
    ------
    UsageError
        For an unknown extension (code ``unsupported_format``).
    WriteError
        ``exists``, ``write_failed``, ``verify_failed``.
    """
    path = Path(path)
    form = form or format_of_name(path)
    content = _text(table, form)

    def is_right(temporary: Path) -> bool:
        try:
            return _rows(read_label_table(temporary), form) == _rows(table, form)
        except SegdeskError:
            return False

    def write(temporary: Path) -> None:
        temporary.write_text(content, encoding="utf-8", newline="\n")

    replace_file(path, write, is_right, overwrite=overwrite)


def _rows(table: LabelTable, form: TableFormat) -> list[Label]:
    """Return what the format must give back."""
    has_codes = form in (TableFormat.SLICER_CSV, TableFormat.SLICER_TSV)
    return [each if has_codes else replace(each, concept=None) for each in table]


def _text(table: LabelTable, form: TableFormat) -> str:
    if form is TableFormat.SLICER:
        return SLICER.text(table)
    if form is TableFormat.FREESURFER:
        return FREESURFER.text(table)
    if form is TableFormat.ITKSNAP:
        return itksnap.text(table)
    return delimited.text(table, "\t" if form is TableFormat.SLICER_TSV else ",")


def _mask_format(path: Path) -> Format | None:
    try:
        return sniff(path)
    except UnsupportedFormat:
        return None


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_TABLE_BYTES + 1)
    except OSError as error:
        raise ReadError(f"{path.name} cannot be read: {error.strerror}.", path=path) from error
    if len(content) > MAX_TABLE_BYTES or (b"\0" in content and not content.startswith(_UTF16)):
        raise UnsupportedFormat(f"{path.name} is no label table.", path=path)
    try:
        return content.decode("utf-16" if content.startswith(_UTF16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise bad_line(path, line, "the text is not UTF-8; save the table as UTF-8.") from error
