"""The rules of output."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from segdesk.cli.console import Console, Page, cell_text, one_line, stdout_reserved, to_json_text
from segdesk.errors import Warn


def test_nan_and_infinity_become_null() -> None:
    text = to_json_text({"a": float("nan"), "b": [np.float32("inf"), np.int64(3)], "c": np.array([1.0, np.nan])})
    assert json.loads(text) == {"a": None, "b": [None, 3], "c": [1.0, None]}


def test_json_is_ascii_so_that_no_terminal_can_refuse_it() -> None:
    assert to_json_text({Path("ä"): Path("ö")}).isascii()


def test_what_libraries_print_does_not_reach_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    with stdout_reserved():
        print("noise of a library")  # noqa: T201 - the library
        Console(json=True, quiet=True).show({"a": 1}, lambda page: None)
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"a": 1}
    assert "noise" in captured.err


def test_without_json_text_is_written_and_no_json() -> None:
    stream = io.StringIO()
    Console(json=False, quiet=True, stdout=stream).show({"a": 1}, lambda page: page.heading("for people"))
    assert stream.getvalue() == "for people\n"


def test_warnings_go_to_stderr_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    Console(json=False, quiet=True).warn([Warn("simulated", "two\nlines")])
    captured = capsys.readouterr()
    assert captured.err == "warning (simulated): two lines\n"
    assert captured.out == ""


def test_with_json_warnings_are_left_to_the_payload(capsys: pytest.CaptureFixture[str]) -> None:
    Console(json=True, quiet=True).warn([Warn("simulated", "x")])
    assert capsys.readouterr().err == ""


def test_progress_is_silent_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Console(json=False, quiet=False).progress("Working") as report:
        report(1, 2, "half")
    assert capsys.readouterr().err == ""


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_draws_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with Console(json=True, quiet=False, stdout=io.StringIO()).progress("Working") as report:
        report(1, 2, "half")
    assert terminal.getvalue() != ""


def test_quiet_draws_nothing_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with Console(json=False, quiet=True, stdout=io.StringIO()).progress("Working") as report:
        report(1, 2, "half")
    assert terminal.getvalue() == ""


def test_a_table_keeps_brackets_in_names() -> None:
    stream = io.StringIO()
    Page(stream).table(("Name", "Dice"), [("[red]case[/red].nii", 0.5), ("b", None)])
    assert "[red]case[/red].nii" in stream.getvalue()
    assert "0.500" in stream.getvalue()
    assert "–" in stream.getvalue()


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (float("nan"), "–"), (0.12345, "0.123"), (1234.5, "1234"), (7, "7")]
)
def test_cells(value: object, text: str) -> None:
    assert cell_text(value) == text


def test_control_characters_never_reach_the_terminal() -> None:
    assert one_line("a\tb\x1b]0;title\x07") == "a b�]0;title�"
    stream = io.StringIO()
    page = Page(stream)
    page.line("scan\x1b[2J.nii\nnext")
    page.heading("\x9bhead")
    assert stream.getvalue() == "scan�[2J.nii\nnext\n�head\n"


def test_a_long_path_is_not_broken_when_the_output_is_piped() -> None:
    stream = io.StringIO()
    Page(stream).table(("Name", "Dice"), [("a" * 200, 0.5)])
    assert "a" * 200 in stream.getvalue()
