"""Slicer's newer colour tables: comma- or tab-separated, with a header and coded meanings.

Columns: slicer.readthedocs.io, "Color table CSV file format": LabelValue, Name, Color_R,
Color_G, Color_B, Color_A, then scheme, value and meaning of category, type, region and
their modifiers (the region's own modifier has no place in a `Concept` and is not kept).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from segdesk.core.labels import Code, Concept, Label, LabelTable
from segdesk.io.label_tables.rows import Row, bad_line, table_of

VALUE_COLUMN = "LabelValue"
_NAME_COLUMN = "Name"
_COLOUR_COLUMNS = ("Color_R", "Color_G", "Color_B")
_ALPHA_COLUMN = "Color_A"
_CODE_GROUPS = ("Category", "Type", "TypeModifier", "Region")
_CODE_PARTS = ("CodingScheme", "CodeValue", "CodeMeaning")
_CODE_COLUMNS = tuple(f"{group}_{part}" for group in _CODE_GROUPS for part in _CODE_PARTS)


def parse(text: str, path: Path) -> LabelTable:
    """Read a table; ReadError with the line (code ``bad_label_table``).

    A column that is not there gets the label's default: Slicer makes every column but
    the number optional.
    """
    return table_of(_rows(text, path), path)


def text(table: LabelTable, delimiter: str) -> str:
    """Return the file's content; background has no row, as Slicer advises."""
    stream = io.StringIO()
    # RFC 4180 ends rows with both; the csv module then quotes either within a name.
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\r\n")
    has_codes = any(label.concept for label in table)
    writer.writerow(
        [VALUE_COLUMN, _NAME_COLUMN, *_COLOUR_COLUMNS, _ALPHA_COLUMN, *(_CODE_COLUMNS if has_codes else ())]
    )
    for label in table:
        codes = _code_cells(label.concept) if has_codes else []
        writer.writerow([label.value, label.name, *label.colour_rgb, 255, *codes])
    return stream.getvalue()


def _delimiter_of(text: str) -> str:
    header = text.lstrip().partition("\n")[0]
    return "\t" if "\t" in header and header.count("\t") >= header.count(",") else ","


def _rows(text: str, path: Path) -> Iterable[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter_of(text), strict=True)
    columns: dict[str, int] = {}
    line = next_line = 1
    try:
        for cells in reader:
            line, next_line = next_line, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not columns:
                columns = _columns(cells, path, line)
            elif len(cells) < len(columns):
                raise bad_line(path, line, f"{len(cells)} columns, where the header names {len(columns)}.")
            else:
                yield _row({name: cells[number] for name, number in columns.items()}, line)
    except csv.Error as error:
        raise bad_line(path, next_line, f"the quotation marks do not match ({error}).") from error


def _columns(cells: list[str], path: Path, line: int) -> dict[str, int]:
    columns = {cell.strip(): number for number, cell in enumerate(cells)}
    if VALUE_COLUMN not in columns:
        raise bad_line(path, line, f"the header names no column {VALUE_COLUMN}.")
    if len(columns) < len(cells):
        raise bad_line(path, line, "the header names a column twice.")
    return columns


def _row(cells: dict[str, str], line: int) -> Row:
    value = cells[VALUE_COLUMN].strip()
    default = Label.default(int(value) if value.isdecimal() else 1)
    has_colour = all(column in cells for column in _COLOUR_COLUMNS)
    colour = [cells[column].strip() for column in _COLOUR_COLUMNS] if has_colour else default.colour_rgb
    return Row(line, value, cells.get(_NAME_COLUMN, default.name), tuple(map(str, colour)), _concept(cells))


def _concept(cells: dict[str, str]) -> Concept | None:
    """Return the coded meaning; a code without scheme or value says nothing."""
    category, kind, modifier, region = (_code(cells, group) for group in _CODE_GROUPS)
    return None if kind is None else Concept(kind, category, modifier, region)


def _code(cells: dict[str, str], group: str) -> Code | None:
    scheme, value, meaning = (cells.get(f"{group}_{part}", "").strip() for part in _CODE_PARTS)
    return Code(value, scheme, meaning) if scheme and value else None


def _code_cells(concept: Concept | None) -> list[str]:
    codes = (concept.category, concept.type, concept.modifier, concept.region) if concept else (None,) * 4
    return [part for code in codes for part in ((code.scheme, code.value, code.meaning) if code else ("", "", ""))]
