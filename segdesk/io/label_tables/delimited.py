"""Slicer's newer colour tables: comma- or tab-separated, with a header and coded meanings.

Columns: slicer.readthedocs.io, "Color table CSV file format": LabelValue, Name, Color_R,
Color_G, Color_B, Color_A, then scheme, value and meaning of category, type, region and
their modifiers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from segdesk.core.labels import Label, LabelTable
from segdesk.io.label_tables.rows import Row, bad_line, table_of

VALUE_COLUMN = "LabelValue"
_NAME_COLUMN = "Name"
_COLOUR_COLUMNS = ("Color_R", "Color_G", "Color_B")
_ALPHA_COLUMN = "Color_A"


def parse(lines: list[str], path: Path) -> LabelTable:
    """Read a table; ReadError with the line (code ``bad_label_table``).

    A column that is not there gets the label's default: Slicer makes every column but
    the number optional.
    """
    return table_of(_rows(lines, path), path)


def text(table: LabelTable, delimiter: str) -> str:
    """Return the file's content; background has no row, as Slicer advises."""
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
    writer.writerow([VALUE_COLUMN, _NAME_COLUMN, *_COLOUR_COLUMNS, _ALPHA_COLUMN])
    for label in table:
        writer.writerow([label.value, label.name, *label.colour_rgb, 255])
    return stream.getvalue()


def delimiter_of(header: str) -> str:
    """Return the character between the columns."""
    return "\t" if header.count("\t") >= header.count(",") and "\t" in header else ","


def _rows(lines: list[str], path: Path) -> Iterable[Row]:
    # Names may hold line breaks, so the reader gets the lines with their ends.
    reader = csv.reader((line + "\n" for line in lines), delimiter=delimiter_of(lines[0]), strict=True)
    columns: dict[str, int] = {}
    start = 1
    try:
        for cells in reader:
            line, start = start, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not columns:
                columns = _columns(cells, path, line)
            elif len(cells) < len(columns):
                raise bad_line(path, line, f"{len(cells)} columns, where the header names {len(columns)}.")
            else:
                yield _row(cells, columns, line)
    except csv.Error as error:
        raise bad_line(path, start, f"the quotation marks do not match ({error}).") from error


def _columns(cells: list[str], path: Path, line: int) -> dict[str, int]:
    columns = {cell.strip(): number for number, cell in enumerate(cells)}
    if VALUE_COLUMN not in columns:
        raise bad_line(path, line, f"the header names no column {VALUE_COLUMN}.")
    if len(columns) < len(cells):
        raise bad_line(path, line, "the header names a column twice.")
    return columns


def _row(cells: list[str], columns: dict[str, int], line: int) -> Row:
    value = cells[columns[VALUE_COLUMN]].strip()
    default = Label.default(int(value) if value.isdecimal() else 1)
    name = cells[columns[_NAME_COLUMN]] if _NAME_COLUMN in columns else default.name
    has_colour = all(column in columns for column in _COLOUR_COLUMNS)
    colour = [cells[columns[column]].strip() for column in _COLOUR_COLUMNS] if has_colour else default.colour_rgb
    return Row(line, value, name, tuple(map(str, colour)))
