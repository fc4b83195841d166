"""ITK-SNAP's label description files.

Lines are ``IDX R G B A VIS MSH "LABEL"`` (the header ITK-SNAP writes into them). Opacity and
visibility are how one program showed a label on one day; they are checked and not kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from segdesk.core.labels import LabelTable
from segdesk.io.label_tables.rows import Row, bad_line, exact_name_comment, exact_names, is_content, table_of

ROW = re.compile(r'\s*(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+"(.*)"\s*$')
_RULE = "#" * 48
_HEADER = f"""{_RULE}
# ITK-SnAP Label Description File
# File format:
# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL
# Fields:
#    IDX:   Zero-based index
#    -R-:   Red color component (0..255)
#    -G-:   Green color component (0..255)
#    -B-:   Blue color component (0..255)
#    -A-:   Label transparency (0.00 .. 1.00)
#    VIS:   Label visibility (0 or 1)
#    IDX:   Label mesh visibility (0 or 1)
#  LABEL:   Label description
{_RULE}"""


def parse(lines: list[str], path: Path) -> LabelTable:
    """Read a table; ReadError with the line (code ``bad_label_table``)."""
    return table_of(_rows(lines, path), path)


def text(table: LabelTable) -> str:
    """Return the file's content: every label opaque and visible, the clear label first."""
    lines = [_HEADER, *(exact_name_comment(each) for each in table if _plain(each.name) != each.name)]
    lines.append('    0     0    0    0        0  0  0    "Clear Label"')
    for label in table:
        red, green, blue = label.colour_rgb
        lines.append(f'{label.value:5d}   {red:3d}  {green:3d}  {blue:3d}        1  1  1    "{_plain(label.name)}"')
    return "\n".join(lines) + "\n"


def _plain(name: str) -> str:
    """Return the name as the row can hold it: ITK-SNAP ends it at the first quotation mark."""
    return re.sub(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]", " ", name).replace('"', "'")


def _rows(lines: list[str], path: Path) -> Iterable[Row]:
    exact = exact_names(lines)
    for number, line in enumerate(lines, 1):
        if not is_content(line):
            continue
        match = ROW.match(line)
        if match is None:
            raise bad_line(path, number, 'a label needs its number, red, green, blue, opacity, 0/1, 0/1 and "name".')
        value, red, green, blue, opacity, visible, mesh, name = match.groups()
        _require_display(opacity, visible, mesh, path, number)
        kept = exact.get(int(value)) if value.isdecimal() else None
        yield Row(number, value, kept if kept is not None and _plain(kept) == name else name, (red, green, blue))


def _require_display(opacity: str, visible: str, mesh: str, path: Path, number: int) -> None:
    if not re.fullmatch(r"[01]?\.?\d*(e-\d+)?", opacity) or float(opacity or 0) > 1:
        raise bad_line(path, number, f"the opacity {opacity[:40]!r} is no number from 0 to 1.")
    if visible not in ("0", "1") or mesh not in ("0", "1"):
        raise bad_line(path, number, "visibility and mesh visibility are 0 or 1.")
