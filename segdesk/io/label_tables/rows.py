"""Rows of a label table: what every text format has in common."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from segdesk.core.labels import Colour, Concept, Label, LabelTable
from segdesk.errors import ReadError

MAX_VALUE = 65535
"""Largest label value a `LabelMap` holds."""

_EXACT = re.compile(r'#\s*segdesk\s+(\d+)\s+(".*")\s*$')


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table, not yet judged.

    Parameters
    ----------
    line : int
        Number of the line in the file, from 1.
    value : str
        The label's number as written.
    name : str
    colour : tuple of str
        Red, green, blue as written, 0 to 255.
    concept : Concept, optional
        Coded meaning, where the format has one.
    """

    line: int
    value: str
    name: str
    colour: tuple[str, ...]
    concept: Concept | None = None


def bad_line(path: Path, line: int, what: str) -> ReadError:
    """Return the error for a line."""
    return ReadError(f"{path.name}, line {line}: {what}", code="bad_label_table", path=path)


def table_of(rows: Iterable[Row], path: Path) -> LabelTable:
    """Judge the rows and return them as a table; the row of 0, background, is judged and left out.

    Raises
    ------
    ReadError
        Code ``bad_label_table``, with the line: a number that is none, is used twice or is
        above 65535, a colour outside 0 to 255.
    """
    lines: dict[int, int] = {}
    labels: list[Label] = []
    for row in rows:
        label = Label(_value(row, path), row.name, _colour(row, path), row.concept)
        if label.value in lines:
            raise bad_line(path, row.line, f"label {label.value} is on line {lines[label.value]} already; keep one.")
        lines[label.value] = row.line
        labels.append(label)
    return LabelTable(label for label in labels if label.value != 0)


def exact_name_comment(label: Label) -> str:
    """Return the comment that keeps a name the format itself would change."""
    return f"# segdesk {label.value} {json.dumps(label.name, ensure_ascii=False)}"


def exact_names(lines: Iterable[str]) -> dict[int, str]:
    """Return the names kept in comments, by label value; damaged comments are comments."""
    names: dict[int, str] = {}
    for line in lines:
        match = _EXACT.match(line.strip())
        if match is None:
            continue
        try:
            names[int(match.group(1))] = str(json.loads(match.group(2)))
        except ValueError:
            continue
    return names


def is_content(line: str) -> bool:
    """Whether a line is neither empty nor a comment."""
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _value(row: Row, path: Path) -> int:
    if not re.fullmatch(r"\d{1,9}", row.value):
        raise bad_line(path, row.line, f"{row.value[:40]!r} is no label number; it must be a whole number from 0.")
    value = int(row.value)
    if value > MAX_VALUE:
        raise bad_line(path, row.line, f"label {value} is above {MAX_VALUE}, the largest number a mask can hold.")
    return value


def _colour(row: Row, path: Path) -> Colour:
    red, green, blue = (_part(text, row, path) for text in row.colour)
    return red, green, blue


def _part(text: str, row: Row, path: Path) -> int:
    """Return red, green or blue; Slicer's own writer prints fractions such as 127.5."""
    if not re.fullmatch(r"\d{1,9}(\.\d*)?", text) or float(text) > 255:
        raise bad_line(path, row.line, f"the colour {text[:40]!r} is no number from 0 to 255.")
    return round(float(text))
