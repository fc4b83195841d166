"""Where an edit writes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segdesk.core.box import Box
from segdesk.errors import ShapeMismatch


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A set of voxels: a mask inside a box.

    Parameters
    ----------
    box : Box
        Where the mask lies in the grid; must be inside it when painted.
    mask : ndarray of bool, shape `box.shape_kji`
        True where the region covers a voxel.

    Raises
    ------
    ShapeMismatch
        If the mask does not fill the box.
    """

    box: Box
    mask: NDArray[np.bool_]

    def __post_init__(self) -> None:
        """Check that mask and box agree."""
        if self.mask.shape != self.box.shape_kji:
            raise ShapeMismatch(f"A region of shape {self.mask.shape} does not fill its box {self.box.shape_kji}.")
