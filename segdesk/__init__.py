"""segdesk: draft, correct, vote on, merge and score segmentations.

The names below are loaded when they are first used, so that ``import segdesk``
costs next to nothing and brings in neither Qt nor torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segdesk.api import (
        Project,
        consensus,
        evaluate,
        predict,
        read_labels,
        read_volume,
        write_labels,
        write_volume,
    )

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


def __getattr__(name: str) -> object:
    """Fetch a public name from `segdesk.api`."""
    if name not in __all__:
        raise AttributeError(f"module 'segdesk' has no attribute {name!r}")
    from segdesk import api

    return getattr(api, name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
