"""Paths as text: below the project folder relative to it, so that a project can be moved."""

from __future__ import annotations

import os
from pathlib import Path

from segdesk.store.records import PROJECT_FILE


def text_of(path: Path, root: Path) -> str:
    """Return the text to remember a path by."""
    absolute = Path(os.path.abspath(path))
    return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else str(absolute)


def place_of(text: str, root: Path) -> Path:
    """Return the absolute path of `text_of`."""
    return root / text


def is_project(path: Path) -> bool:
    """Whether the path is a project folder or its file."""
    return (path / PROJECT_FILE).is_file() or (path.name == PROJECT_FILE and path.is_file())
