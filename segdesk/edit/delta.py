"""An edit is data: box, changed voxels, values before and after."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from segdesk.core.box import Box
from segdesk.core.labels import LabelArray, LabelMap

_FAST = 1
"""zlib level: masks are runs, so that the fastest level already gives most of the gain."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelDelta:
    """A change of one layer of a label map.

    Parameters
    ----------
    box : Box
        The tight box around the changed voxels.
    changed : ndarray of bool, shape `box.shape_kji`
        Which voxels change.
    before, after : ndarray of uint8 or uint16, shape (n changed,)
        Values of the changed voxels in C order.
    layer : int
        Index of the layer.
    """

    box: Box
    changed: NDArray[np.bool_]
    before: LabelArray
    after: LabelArray
    layer: int = 0

    @classmethod
    def between(cls, box: Box, old: LabelArray, new: LabelArray, layer: int = 0) -> LabelDelta | None:
        """Return what leads from `old` to `new`, None when they are equal.

        Parameters
        ----------
        box : Box
            Where both arrays lie in the grid.
        old, new : ndarray of one dtype, shape `box.shape_kji`
            Values before and after; both are copied where they differ.
        layer : int
            Index of the layer.
        """
        changed = old != new
        tight = Box.around(changed)
        if tight is None:
            return None
        inside = changed[tight.slices].copy()
        place = tight.shifted(box.start_kji)
        before, after = old[tight.slices][inside], new[tight.slices][inside]
        return cls(place, inside, cast(LabelArray, before), cast(LabelArray, after), layer)

    def apply(self, labels: LabelMap) -> None:
        """Write the values after the edit."""
        labels.layers[self.layer][self.box.slices][self.changed] = self.after

    def revert(self, labels: LabelMap) -> None:
        """Write the values before the edit."""
        labels.layers[self.layer][self.box.slices][self.changed] = self.before

    @property
    def nbytes(self) -> int:
        """Memory of the arrays in bytes."""
        return self.changed.nbytes + self.before.nbytes + self.after.nbytes

    def packed(self) -> PackedDelta:
        """Return the compressed form."""
        bits = np.packbits(self.changed.ravel()).tobytes()
        blob = zlib.compress(bits + self.before.tobytes() + self.after.tobytes(), _FAST)
        return PackedDelta(self.box, self.before.dtype.str, self.before.size, self.layer, blob)


@dataclass(frozen=True, slots=True)
class PackedDelta:
    """A `LabelDelta`, compressed: what the undo history keeps."""

    box: Box
    dtype: str
    count: int
    layer: int
    blob: bytes

    @property
    def nbytes(self) -> int:
        """Memory of the compressed arrays in bytes."""
        return len(self.blob)

    def unpacked(self) -> LabelDelta:
        """Return the delta with its arrays."""
        content = zlib.decompress(self.blob)
        shape = self.box.shape_kji
        voxels = shape[0] * shape[1] * shape[2]
        bits = (voxels + 7) // 8
        changed = np.unpackbits(np.frombuffer(content, np.uint8, bits), count=voxels).astype(np.bool_).reshape(shape)
        values = np.frombuffer(content, np.dtype(self.dtype), offset=bits)
        before, after = values[: self.count], values[self.count :]
        return LabelDelta(self.box, changed, cast(LabelArray, before), cast(LabelArray, after), self.layer)
