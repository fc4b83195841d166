"""Tables of lines ``number name red green blue alpha``: Slicer's .ctbl and FreeSurfer's LUT.

They differ in one thing: Slicer reads an underscore in a name as a space
(slicer.readthedocs.io, "Color table file format"), FreeSurfer keeps it
(surfer.nmr.mgh.harvard.edu, "LabelsClutsAnnotationFiles"). Both split at white space,
so a name with spaces is written with underscores; where reading would not give the name
back, a comment keeps it (`segdesk.io.label_tables.rows`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from segdesk.core.labels import LabelTable
from segdesk.io.label_tables.rows import Row, bad_line, exact_name_comment, exact_names, is_content, table_of

_QUOTED = re.compile(r'\s*(\S+)\s+"(.*)"\s+(.*)')


def _slicer_name(token: str) -> str:
    """Undo the underscores, and the ticks that names copied from a scene file have."""
    return "" if token == "_" else token.replace("_", " ").strip("'")


def _same(token: str) -> str:
    return token


@dataclass(frozen=True, slots=True)
class NamedRows:
    """A dialect of the format.

    Parameters
    ----------
    header : str
        Comment at the top of a written file.
    background : str
        The row of 0 in a written file.
    alpha : int
        Written for every label: opaque is 255 in Slicer, 0 in FreeSurfer.
    name_of : callable
        The name that a token stands for.
    """

    header: str
    background: str
    alpha: int
    name_of: Callable[[str], str]

    def parse(self, lines: list[str], path: Path) -> LabelTable:
        """Read a table; ReadError with the line (code ``bad_label_table``)."""
        return table_of(self._rows(lines, path), path)

    def text(self, table: LabelTable) -> str:
        """Return the file's content, background row included."""
        lines = [self.header, *(exact_name_comment(each) for each in table if self._read_back(each.name) != each.name)]
        lines.append(self.background)
        for label in table:
            lines.append(" ".join(map(str, (label.value, _token(label.name), *label.colour_rgb, self.alpha))))
        return "\n".join(lines) + "\n"

    def _read_back(self, name: str) -> str:
        """Return the name that comes back of a token alone in its place."""
        token = _token(name)
        is_quoted = len(token) > 1 and token[0] == token[-1] == '"'
        return self.name_of(token[1:-1] if is_quoted else token)

    def _rows(self, lines: list[str], path: Path) -> Iterable[Row]:
        exact = exact_names(lines)
        for number, line in enumerate(lines, 1):
            if not is_content(line):
                continue
            value, name, colour = _parts(line, path, number)
            name = self.name_of(name)
            kept = exact.get(int(value)) if value.isdecimal() else None
            # A comment counts only as long as nobody renamed the row below it.
            if kept is not None and self._read_back(kept) == name:
                name = kept
            yield Row(number, value, name, colour)


SLICER = NamedRows("# Color table file", "0 Background 0 0 0 0", 255, _slicer_name)
FREESURFER = NamedRows("#No. Label Name:                            R   G   B   A", "0 Unknown 0 0 0 0", 0, _same)


def _token(name: str) -> str:
    return re.sub(r"\s", "_", name) or "_"


def _parts(line: str, path: Path, number: int) -> tuple[str, str, tuple[str, ...]]:
    """Return number, name and colour; a name of several words stands between the number and four last ones."""
    quoted = _QUOTED.match(line)
    if quoted is not None:
        tokens = [quoted.group(1), quoted.group(2), *quoted.group(3).split()]
    else:
        tokens = line.split()
        if len(tokens) > 6:
            tokens = [tokens[0], " ".join(tokens[1:-4]), *tokens[-4:]]
    if len(tokens) not in (5, 6):
        raise bad_line(path, number, "a label needs its number, its name, red, green, blue (and alpha).")
    return tokens[0], tokens[1], tuple(tokens[2:5])
