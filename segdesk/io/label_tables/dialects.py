"""Which kind of label table a text is."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

from segdesk.errors import UnsupportedFormat, UsageError
from segdesk.io.label_tables.delimited import VALUE_COLUMN
from segdesk.io.label_tables.itksnap import ROW as _ITKSNAP_ROW
from segdesk.io.label_tables.rows import is_content


class TableFormat(StrEnum):
    """A text format of label tables."""

    SLICER = "Slicer colour table"
    SLICER_CSV = "Slicer colour table, comma-separated"
    SLICER_TSV = "Slicer colour table, tab-separated"
    ITKSNAP = "ITK-SNAP label descriptions"
    FREESURFER = "FreeSurfer lookup table"


TABLE_SUFFIXES = (".ctbl", ".csv", ".tsv", ".label", ".lut", ".ctab", ".txt")
"""Extensions a label table is written with."""

_BY_SUFFIX = {
    ".ctbl": TableFormat.SLICER,
    ".csv": TableFormat.SLICER_CSV,
    ".tsv": TableFormat.SLICER_TSV,
    ".label": TableFormat.ITKSNAP,
    ".txt": TableFormat.ITKSNAP,
    ".lut": TableFormat.FREESURFER,
    ".ctab": TableFormat.FREESURFER,
}
_NAMED_ROW = re.compile(r"\s*\d+\s+\S.*(\s+\d+(\.\d*)?){3}\s*$")


def format_of_name(path: Path) -> TableFormat:
    """Return the format a name asks for when it is written.

    .ctbl, .csv, .tsv: Slicer; .label, .txt: ITK-SNAP; .lut, .ctab, and names that end in
    LUT.txt (FreeSurferColorLUT.txt): FreeSurfer.

    Raises
    ------
    UsageError
        For any other extension (code ``unsupported_format``).
    """
    name = path.name.lower()
    chosen = TableFormat.FREESURFER if name.endswith("lut.txt") else _BY_SUFFIX.get(path.suffix.lower())
    if chosen is None:
        raise UsageError(
            f"{path.name}: label tables are written as {', '.join(TABLE_SUFFIXES)}; choose one of these.",
            code="unsupported_format",
            path=path,
        )
    return chosen


def format_of_text(lines: list[str], path: Path) -> TableFormat:
    """Tell the format from the content; the extension decides only where two would fit.

    Raises
    ------
    UnsupportedFormat
        If the text is no label table.
    """
    comments = " ".join(line.lower() for line in lines if line.lstrip().startswith("#"))
    content = next((line for line in lines if is_content(line)), "")
    if "color procedural file" in comments:
        raise UnsupportedFormat(f"{path.name} is a continuous colour scale, not a table of labels.", path=path)
    if VALUE_COLUMN.lower() in content.lower():
        return TableFormat.SLICER_TSV if "\t" in content else TableFormat.SLICER_CSV
    if _ITKSNAP_ROW.match(content):
        return TableFormat.ITKSNAP
    marked = _by_header(comments)
    if marked is not None:
        return marked
    by_name = TableFormat.SLICER if path.suffix.lower() == ".ctbl" else TableFormat.FREESURFER
    if _NAMED_ROW.match(content) or (not content and path.suffix.lower() in TABLE_SUFFIXES and comments):
        return by_name
    raise UnsupportedFormat(f"{path.name} is no label table of Slicer, ITK-SNAP or FreeSurfer.", path=path)


def _by_header(comments: str) -> TableFormat | None:
    if "itk-snap label description" in comments:
        return TableFormat.ITKSNAP
    if "color table file" in comments:
        return TableFormat.SLICER
    if "label name" in comments or "freesurfercolorlut" in comments:
        return TableFormat.FREESURFER
    return None
