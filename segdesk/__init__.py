"""segdesk: draft, correct, vote on, merge and score segmentations.

The names below are loaded when they are first used, so that ``import segdesk``
costs next to nothing and brings in neither Qt nor torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segdesk.api import predict
    from segdesk.io import read_labels, read_volume, write_labels, write_volume
    from segdesk.metrics import evaluate
    from segdesk.review import consensus
    from segdesk.store.project import Project

__all__ = [
    "Project",
    "consensus",
    "evaluate",
    "predict",
    "read_labels",
    "read_volume",
    "write_labels",
    "write_volume",
]

_HOMES = {
    "Project": "segdesk.store.project",
    "consensus": "segdesk.review",
    "evaluate": "segdesk.metrics",
    "predict": "segdesk.api",
    "read_labels": "segdesk.io",
    "read_volume": "segdesk.io",
    "write_labels": "segdesk.io",
    "write_volume": "segdesk.io",
}


def __getattr__(name: str) -> object:
    """Fetch a public name from its home."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'segdesk' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
