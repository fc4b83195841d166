"""What a command may write, where: the one place with the rules of output.

With ``--json`` one JSON object on stdout and nothing else there; without it,
text for people. Progress and errors go to stderr. An error is one line.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from segdesk.core.progress import Progress, silent
from segdesk.errors import SegdeskError, Warn

Json = dict[str, Any]

EXIT_INTERNAL = 1
EXIT_REFUSED = 2
EXIT_CANCELLED = 130

_NOT_THE_USERS_FAULT = frozenset({"internal", "worker", "verify_failed", "save_failed"})


@dataclass(frozen=True, slots=True)
class Console:
    """Where a command shows what it found.

    Parameters
    ----------
    json : bool
        One JSON object on stdout instead of text.
    quiet : bool
        No progress on stderr.
    stdout : text stream
        Taken when the console is made: libraries that print are sent elsewhere.
    """

    json: bool
    quiet: bool
    stdout: TextIO = field(default_factory=lambda: _real_stdout())

    def show(self, payload: Mapping[str, Any], human: Callable[[Page], None]) -> None:
        """Write the payload as JSON, or let `human` write text on a `Page`."""
        if self.json:
            self.event(payload)
            return
        human(Page(self.stdout))

    def event(self, payload: Mapping[str, Any]) -> None:
        """Write one JSON object as one line, at once."""
        self.stdout.write(to_json_text(payload) + "\n")
        self.stdout.flush()

    def note(self, text: str) -> None:
        """Say what is going on: a line of the text for people, or on stderr beside JSON."""
        if self.json and self.quiet:
            return
        stream = sys.stderr if self.json else self.stdout
        stream.write(one_line(text) + "\n")
        stream.flush()

    def warn(self, warnings: Sequence[Warn]) -> None:
        """Say what the user must know, on stderr; with ``--json`` the payload says it."""
        if not self.json:
            for warning in warnings:
                sys.stderr.write(f"warning ({warning.code}): {one_line(warning.message)}\n")

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        """Yield a `Progress` that draws a bar on stderr when that is a terminal."""
        if self.quiet or not sys.stderr.isatty():
            yield silent
            return
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
        )
        with Bar(*columns, console=RichConsole(file=sys.stderr), transient=True) as bar:
            task = bar.add_task(title, total=None)

            def report(done: int, total: int, text: str = "") -> None:
                bar.update(task, completed=done, total=total or None, description=one_line(text) or title)

            yield report


class Page:
    """Text for people: headings, lines and tables.

    Parameters
    ----------
    stream : text stream
        Where it goes.
    """

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console as RichConsole

        # Markup and highlighting off: file names hold brackets. Wide where nobody looks: a path is never broken in two.
        width = None if stream.isatty() else 4096
        self._rich = RichConsole(file=stream, markup=False, highlight=False, soft_wrap=True, width=width)

    def line(self, text: str = "") -> None:
        """Write one line."""
        self._rich.print(printable(text))

    def heading(self, text: str) -> None:
        """Write one line that stands out."""
        self._rich.print(printable(text), style="bold")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Write a table; numbers are set right, undefined values as a dash."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        for index, name in enumerate(columns):
            numeric = any(isinstance(row[index], int | float) for row in rows)
            table.add_column(name, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*(cell_text(cell) for cell in row))
        self._rich.print(table, soft_wrap=False)


def cell_text(value: object) -> str:
    """Return the text of a table cell; three decimals, a dash for undefined."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 100 else f"{value:.0f}"
    return one_line(str(value))


class Refused(Exception):
    """An error that carries more than itself into the JSON output.

    Parameters
    ----------
    error : SegdeskError
        What is reported.
    more : mapping
        Further fields beside ``error``.
    """

    def __init__(self, error: SegdeskError, more: Mapping[str, Any]) -> None:
        super().__init__(error.message)
        self.error = error
        self.more = more


def report_error(error: SegdeskError, *, as_json: bool, more: Mapping[str, Any] | None = None) -> int:
    """Write one line on stderr (and the JSON object on stdout); return the exit code."""
    sys.stderr.write(f"segdesk: {one_line(error.message)} [{error.code}]\n")
    if as_json:
        stdout = _real_stdout()
        stdout.write(to_json_text({"error": error.to_json(), **(more or {})}) + "\n")
        stdout.flush()
    return EXIT_INTERNAL if error.code in _NOT_THE_USERS_FAULT else EXIT_REFUSED


def one_line(text: str) -> str:
    """Return text on one line, without control characters: names of files may hold both."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """Return text without control characters but for line ends: a file's name must not steer the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in text)


def to_json_text(payload: Mapping[str, Any]) -> str:
    """Return JSON; NaN and infinity become null, paths and numpy numbers plain values."""
    return json.dumps(_plain(payload), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, str | bool | int) or value is None:
        return value
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # numpy scalars and arrays, without importing numpy here
        return _plain(value.tolist())
    return float(value) if math.isfinite(value) else None


_STDOUT: list[TextIO] = []


@contextmanager
def stdout_reserved() -> Iterator[None]:
    """Keep stdout for our own output; whatever libraries print meanwhile goes to stderr."""
    ours, sys.stdout = sys.stdout, sys.stderr
    _STDOUT.append(ours)
    try:
        yield
    finally:
        _STDOUT.pop()
        sys.stdout = ours


def _real_stdout() -> TextIO:
    return _STDOUT[-1] if _STDOUT else sys.stdout
