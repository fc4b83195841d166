"""What looking into a foreign model gives, before a single weight is read."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segdesk.errors import BadModelFolder, ImportRefused
from segdesk.zoo.foreign.axes import Axes
from segdesk.zoo.foreign.contract import ModelContract
from segdesk.zoo.plain_json import parse_json

Format = Literal["monai-bundle", "nnunet-v2", "state-dict"]

MAX_CONFIG_BYTES = 32 << 20
"""nnU-Net's dataset fingerprint of thousands of cases stays below."""

MAX_DEPTH = 64
"""Of tables in tables; the deepest known configuration has 12."""


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A foreign model as its files describe it.

    Parameters
    ----------
    format : str
        What it is.
    weights : tuple of Path
        The files of weights that will be read: one, or one per network of an ensemble.
    contract : ModelContract
        What is known, in our words and our order of axes.
    axes : tuple of int, optional
        Foreign axis a is our axis ``axes[a]``; None: the contract's `axis_order` says it.
    expected : tuple of (str, str)
        What the checkpoint must say of itself: ("configuration", "3d_fullres").
    notes : tuple of str
        What was left out or differs, one line each; they end up in the card.
    """

    format: Format
    weights: tuple[Path, ...]
    contract: ModelContract
    axes: Axes | None = None
    expected: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


def inner_file(root: Path, *parts: str) -> Path | None:
    """Return a regular file below `root`, None when there is nothing; links on the way are refused.

    Raises
    ------
    ImportRefused
        If any part of the way below `root` is a link or device.
    """
    path = root
    for part in parts:
        path = path / part
        if not os.path.lexists(path):
            return None
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise ImportRefused(f"{path.name[:60]!r} is a link or device and is refused.", path=path)
    return path if stat.S_ISREG(path.lstat().st_mode) else None


def read_table(path: Path) -> dict[str, object]:
    """Read a JSON file that must hold a table.

    Raises
    ------
    ImportRefused
        If it is too large, damaged, or no table.
    """
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ImportRefused(f"{path.name} is larger than {MAX_CONFIG_BYTES >> 20} MiB and is refused.", path=path)
        plain = parse_json(path.read_bytes(), path.name)
    except OSError as exc:
        raise ImportRefused(f"{path.name} cannot be read ({exc.strerror}).", path=path) from exc
    except BadModelFolder as exc:
        raise ImportRefused(exc.message, path=path) from exc
    if not isinstance(plain, dict) or _depth_of(plain) > MAX_DEPTH:
        raise ImportRefused(f"{path.name} holds no table, or one nested too deep; get the model again.", path=path)
    return plain


def _depth_of(plain: object) -> int:
    """Return how deep tables and lists are nested, counted level by level."""
    depth, level = 0, [plain]
    while level and depth <= MAX_DEPTH:
        depth += 1
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return depth


def one_line(text: object, limit: int = 300) -> str:
    """Return text on one line without control characters, as ``model.json`` takes it."""
    words = " ".join(str(text).split())
    return "".join(c for c in words if c.isprintable())[:limit]


def slug(text: object) -> str:
    """Return text as a name of a model: letters, digits, dots and dashes."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in str(text))
    return "-".join(part for part in kept.strip("-._").split("-") if part)[:64].strip("-._") or "imported"
