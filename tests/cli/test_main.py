"""Commands and paths, usage errors, exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from segdesk.cli import main as main_module
from segdesk.cli.catalogue import CATALOGUE, GROUPS
from segdesk.cli.parser import build
from segdesk.core.progress import Cancelled
from segdesk.errors import SegdeskError


def test_every_command_shows_help_with_an_example(run) -> None:
    for command in CATALOGUE:
        done = run(*command.words.split(), "--help")
        assert done.code == 0, command.words
        assert "Example" in done.out, command.words
        assert command.example.split()[1] in done.out


def test_help_of_the_program_lists_every_command(run) -> None:
    done = run("--help")
    assert done.code == 0
    assert all(group in done.out for group in GROUPS)


def test_the_version_is_one_line_on_stdout(run) -> None:
    done = run("--version")
    assert done.code == 0
    assert done.out.startswith("segdesk ")
    assert done.out.count("\n") == 1


def test_a_word_that_is_neither_command_nor_path_is_refused_with_a_hint(run) -> None:
    done = run("evalute", "a", "b")
    assert done.code == 2
    assert done.out == ""
    assert done.err.count("\n") == 1
    assert "did you mean 'segdesk evaluate'" in done.err


def test_with_json_such_a_word_gives_an_error_object(run) -> None:
    assert run("evalute", "--json").json["error"]["code"] == "not_found"


def test_a_command_name_wins_over_a_path_of_the_same_name(run, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run("models", "list", "--json").code == 0


@pytest.mark.parametrize("words", [["./models"], ["--", "models"]])
def test_a_path_opens_the_window(words: list[str], run, tmp_path: Path, monkeypatch) -> None:
    from segdesk import app

    opened: list[list[Path]] = []
    monkeypatch.setattr(app, "run", lambda paths: opened.append(list(paths)) or 0)
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run(*words).code == 0
    assert [path.name for path in opened[0]] == ["models"]


def test_no_words_open_the_empty_window(run, monkeypatch) -> None:
    from segdesk import app

    opened: list[list[Path]] = []
    monkeypatch.setattr(app, "run", lambda paths: opened.append(list(paths)) or 0)
    assert run().code == 0
    assert opened == [[]]


@pytest.mark.parametrize(
    "words", [["info"], ["info", "a", "b", "c"], ["info", "a", "--nonsense"], ["predict", "a", "b", "--overlap", "x"]]
)
def test_wrong_usage_exits_2_with_one_line(words: list[str], run) -> None:
    done = run(*words)
    assert done.code == 2
    assert done.out == ""
    assert done.err.count("\n") == 1
    assert "[usage]" in done.err


def test_wrong_usage_with_json_also_gives_an_error_object(run) -> None:
    done = run("info", "--json")
    assert done.code == 2
    assert done.json["error"]["code"] == "usage"
    assert set(done.json["error"]) == {"code", "message", "path"}


def _failing_command(monkeypatch: pytest.MonkeyPatch, failure: BaseException) -> None:
    def build_failing(word: str):
        def command(words: list[str], **_: object) -> None:
            raise failure

        return command

    monkeypatch.setattr("segdesk.cli.runner.build", build_failing)


def test_an_unforeseen_failure_exits_1_without_traceback_or_foreign_text(run, monkeypatch) -> None:
    _failing_command(monkeypatch, RuntimeError("Patient^Jane"))
    done = run("info", "x", "--json")
    assert done.code == 1
    assert done.json["error"]["code"] == "internal"
    assert "Traceback" not in done.err
    assert "Jane" not in done.err + done.out


def test_debug_shows_the_traceback(run, monkeypatch) -> None:
    _failing_command(monkeypatch, RuntimeError("deep"))
    monkeypatch.setenv("SEGDESK_DEBUG", "1")
    done = run("info", "x")
    assert done.code == 1
    assert "Traceback" in done.err
    assert "deep" in done.err


@pytest.mark.parametrize("failure", [Cancelled(), KeyboardInterrupt()])
def test_cancelling_exits_130(run, monkeypatch, failure: BaseException) -> None:
    _failing_command(monkeypatch, failure)
    assert run("info", "x").code == 130


def test_running_out_of_memory_is_an_error_with_advice(run, monkeypatch) -> None:
    _failing_command(monkeypatch, MemoryError())
    done = run("info", "x")
    assert done.code == 2
    assert "[out_of_memory]" in done.err


def test_a_message_of_several_lines_becomes_one(run, monkeypatch) -> None:
    _failing_command(monkeypatch, SegdeskError("one\ntwo\x1b[31m"))
    done = run("info", "x")
    assert done.err.count("\n") == 1
    assert "\x1b" not in done.err


def test_a_reader_that_leaves_early_is_no_error(run, monkeypatch) -> None:
    monkeypatch.setattr("segdesk.cli.runner.os.dup2", lambda a, b: None)
    _failing_command(monkeypatch, BrokenPipeError())
    assert run("info", "x").code == 0


def test_only_the_module_of_the_command_is_imported() -> None:
    code = (
        "import sys; from segdesk.cli.main import main; main(['models', 'list', '--json']);"
        "bad = {'torch', 'monai', 'PySide6', 'nibabel', 'SimpleITK', 'sqlalchemy'} & set(sys.modules);"
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_deciding_for_the_window_imports_nothing_slow() -> None:
    code = (
        "import sys; import segdesk.cli.main;"
        "bad = {'typer', 'rich', 'numpy', 'torch', 'PySide6'} & set(sys.modules); sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_parser_of_one_command_knows_only_that_one() -> None:
    assert [group.name for group in build("models").registered_groups] == ["models"]
    assert build("info").registered_commands[0].name == "info"
    assert main_module.GROUPS == GROUPS
