"""Images on a grid."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from numpy.typing import NDArray

from segdesk.core.box import Box
from segdesk.core.geometry import Geometry, Grid
from segdesk.errors import ShapeMismatch, Warn


class IntensityUnit(StrEnum):
    """What an intensity means."""

    HU = "HU"
    ARBITRARY = "a.u."
    RGB = "RGB"
    LABEL = "label"


@dataclass(frozen=True, slots=True)
class Window:
    """A display window: grey values from `centre - width / 2` to `centre + width / 2`."""

    centre: float
    width: float
    name: str = ""

    @property
    def low(self) -> float:
        """Value shown black."""
        return self.centre - self.width / 2

    @property
    def high(self) -> float:
        """Value shown white."""
        return self.centre + self.width / 2


@dataclass(frozen=True, slots=True)
class Volume:
    """Voxels with their geometry; 2D images are one slice, RGB has a last axis of 3.

    Parameters
    ----------
    array : ndarray
        Shape (K, J, I); (T, K, J, I) when `time_points` > 1; a last axis of 3 when
        `unit` is RGB (uint8). Any real dtype; C-contiguous.
    geometry : Geometry or SliceStackGeometry
        Grid of one time point.
    unit : IntensityUnit
        HU for rescaled CT, arbitrary otherwise.
    modality : str
        DICOM modality ("CT", "MR", "DX"...), "" when unknown.
    windows : tuple of Window
        From the file, best first; empty when it says nothing.
    display_inverted : bool
        True for MONOCHROME1 and inverse presentation: stored values stay, only the
        display is inverted.
    time_points : int
        Length of the leading axis; 1 means there is none.
    padding_range : tuple of float, optional
        Inclusive range of values that are no tissue: left out of windows,
        statistics and normalisation.
    warnings : tuple of Warn
        What the user must be shown.
    series_uid : str
        DICOM series, or "".
    source_path : str
        File or folder it was read from, or "".
    """

    array: NDArray[Any]
    geometry: Grid
    unit: IntensityUnit = IntensityUnit.ARBITRARY
    modality: str = ""
    windows: tuple[Window, ...] = ()
    display_inverted: bool = False
    time_points: int = 1
    padding_range: tuple[float, float] | None = None
    warnings: tuple[Warn, ...] = ()
    series_uid: str = ""
    source_path: str = ""
    patient_key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Check that array and grid agree."""
        expected: tuple[int, ...] = self.geometry.shape_kji
        if self.time_points > 1:
            expected = (self.time_points, *expected)
        if self.unit is IntensityUnit.RGB:
            expected = (*expected, 3)
        if self.array.shape != expected:
            raise ShapeMismatch(f"Pixels of shape {self.array.shape} do not fit the grid {expected}.")

    @property
    def is_rgb(self) -> bool:
        """Whether voxels are colours."""
        return self.unit is IntensityUnit.RGB

    @property
    def is_2d(self) -> bool:
        """Whether there is one slice only."""
        return self.geometry.shape_kji[0] == 1

    def at_time(self, point: int) -> Volume:
        """Return one time point as a volume without a time axis (a view, no copy)."""
        if self.time_points == 1:
            return self
        return replace(self, array=self.array[point], time_points=1)

    def crop(self, box: Box) -> Volume:
        """Return the part inside `box` (a view); only for regular grids without time."""
        if not isinstance(self.geometry, Geometry) or self.time_points > 1:
            raise ShapeMismatch("Only a single regular volume can be cropped; choose a time point first.")
        inside = box.clip(self.geometry.shape_kji)
        return replace(self, array=self.array[inside.slices], geometry=self.geometry.crop(inside))
