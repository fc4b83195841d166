"""Regions of interest as text: the form they have in origins and on the command line."""

from __future__ import annotations

from segdesk.core.box import Box
from segdesk.errors import UsageError


def roi_text(box: Box) -> str:
    """Return ``k0:k1,j0:j1,i0:i1``."""
    return ",".join(f"{a}:{b}" for a, b in zip(box.start_kji, box.stop_kji, strict=True))


def parse_roi(text: str) -> Box:
    """Return the box of ``k0:k1,j0:j1,i0:i1``; UsageError for anything else."""
    try:
        pairs = [tuple(int(x) for x in part.split(":")) for part in text.split(",")]
        (k0, k1), (j0, j1), (i0, i1) = pairs
    except ValueError:
        raise UsageError(f"{text!r} is no region; write k0:k1,j0:j1,i0:i1 in voxels.") from None
    return Box((k0, j0, i0), (k1, j1, i1))
