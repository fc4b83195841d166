"""The folder a demo fills: never somebody's own files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from segdesk.errors import WriteError
from segdesk.io.atomic import replace_file

MARKER = "segdesk-demo.json"
"""Tells a folder that a demo made; says whether it came to its end."""


def prepare_folder(folder: Path, *, overwrite: bool) -> None:
    """Make an empty folder for a demo.

    An unfinished demo is replaced without asking, a finished one with `overwrite`;
    anything else that is not an empty folder is left alone.

    Raises
    ------
    WriteError
        If the folder is in use or cannot be made.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        finished = _read_marker(folder)
        if finished is None:
            raise WriteError(f"{folder} is not empty and no demo; give --dir another name.", code="exists", path=folder)
        if finished and not overwrite:
            message = f"{folder} holds a finished demo; give --overwrite, or --dir another name."
            raise WriteError(message, code="exists", path=folder)
        shutil.rmtree(folder)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise WriteError(f"The folder {folder} cannot be made ({error.strerror}).", path=folder) from error
    mark(folder, finished=False)


def mark(folder: Path, *, finished: bool) -> None:
    """Write down whether the demo is finished."""
    text = json.dumps({"finished": finished}) + "\n"
    replace_file(folder / MARKER, lambda path: _write(path, text), overwrite=True)


def write_report(folder: Path, html: str) -> Path:
    """Write ``report.html``, whole or not at all."""
    path = folder / "report.html"
    replace_file(path, lambda temporary: _write(temporary, html), overwrite=True)
    return path


def _read_marker(folder: Path) -> bool | None:
    """Return whether the demo in the folder is finished; None where there is none."""
    try:
        return bool(json.loads((folder / MARKER).read_text(encoding="utf-8"))["finished"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
