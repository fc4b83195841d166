"""Run one command: parse, call, and turn every failure into an exit code."""

from __future__ import annotations

import contextvars
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import typer
from typer.exceptions import TyperException

from segdesk.cli.console import EXIT_CANCELLED, Refused, report_error, stdout_reserved
from segdesk.cli.parser import build
from segdesk.core.progress import Cancelled
from segdesk.errors import ModelError, SegdeskError, UsageError
from segdesk.io.image_reader import reading_elsewhere

T = TypeVar("T")

DEBUG_VARIABLE = "SEGDESK_DEBUG"


def run(words: Sequence[str]) -> int:
    """Run the command in `words`; never raises.

    Parameters
    ----------
    words : sequence of str
        Command, arguments and options.

    Returns
    -------
    int
        0 done, 2 wrong usage or input refused, 1 internal failure, 130 cancelled.
    """
    as_json = "--json" in words
    if "--help" in words or words[0] == "--version":
        return _guarded(words, as_json=False)
    with stdout_reserved(), _quiet_libraries(), reading_elsewhere(_read_foreign_apart):
        # In a context of its own: what an option allows (--allow-large) ends with the command.
        return contextvars.copy_context().run(_guarded, words, as_json=as_json)


def _read_foreign_apart(function: Callable[..., T], /, *args: object, **kwargs: object) -> T:
    """Read where `segdesk.cli.reading` says, which is imported when a command reads something."""
    from segdesk.cli.reading import read_foreign_apart

    return read_foreign_apart(function, *args, **kwargs)


def _guarded(words: Sequence[str], *, as_json: bool) -> int:
    try:
        code = build(words[0])(list(words), standalone_mode=False, prog_name="segdesk")
    except (Cancelled, KeyboardInterrupt, typer.Abort):
        sys.stderr.write("segdesk: cancelled; nothing half-written was left behind.\n")
        return EXIT_CANCELLED
    except BrokenPipeError:
        return _reader_gone()
    except Exception as failure:  # noqa: BLE001 - the door of the program: no traceback reaches a user
        if os.environ.get(DEBUG_VARIABLE) and not isinstance(failure, TyperException):
            traceback.print_exc(file=sys.stderr)
        more = failure.more if isinstance(failure, Refused) else None
        return report_error(_as_error(failure, words), as_json=as_json, more=more)
    return code if isinstance(code, int) else 0


def _as_error(failure: Exception, words: Sequence[str]) -> SegdeskError:
    """Return the failure as one of ours."""
    if isinstance(failure, Refused):
        return failure.error
    if isinstance(failure, SegdeskError):
        return failure
    if isinstance(failure, TyperException):
        return UsageError(f"{failure.format_message()} See 'segdesk {_command_of(words)}--help'.")
    if isinstance(failure, MemoryError):
        return ModelError("Not enough memory for this; take a part of the image (--roi).", code="out_of_memory")
    # Only the kind and the place: the text of a foreign exception may hold a patient's name.
    return SegdeskError(
        f"{type(failure).__name__} in {_place_of(failure)}; this should not happen. "
        f"Run again with {DEBUG_VARIABLE}=1 and report what it shows."
    )


def _command_of(words: Sequence[str]) -> str:
    return "" if words[0].startswith("-") else f"{words[0]} "


def _place_of(failure: Exception) -> str:
    frames = [f for f in traceback.extract_tb(failure.__traceback__) if "segdesk" in Path(f.filename).parts]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "a library"


def _reader_gone() -> int:
    """Whoever read our output left (``| head``): point stdout at nothing, so that its flush at exit is silent."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Keep warnings and logs of libraries off stderr: they are not ours to show, and may quote a patient's data."""
    if os.environ.get(DEBUG_VARIABLE):
        yield
        return
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
