"""How a mask's grid lies against an image's: by places in the patient, never by index."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from segdesk.core.geometry import Geometry, Grid, Points


class Relation(StrEnum):
    """What a mask's grid is to the image's."""

    SAME = "same"
    """Voxel for voxel."""
    ELSEWHERE = "elsewhere"
    """The same shape at another place."""
    OTHER = "other"
    """Another grid."""
    UNPLACED = "unplaced"
    """Neither has a place in the patient; the pixels are as many."""
    IMPOSSIBLE = "impossible"
    """No way leads from one to the other."""


@dataclass(frozen=True, slots=True)
class MaskFit:
    """What is known before any voxel is moved.

    Parameters
    ----------
    relation : Relation
        In one word.
    corner_mm : float or None
        Largest distance of a corner of the mask's grid from the image's: of the corner
        with the same index where the shapes agree, else of the nearest one. None where
        one of them has no place.
    reason : str
        Why nothing can be done, for `IMPOSSIBLE`.
    """

    relation: Relation
    corner_mm: float | None = None
    reason: str = ""

    @property
    def needs_resampling(self) -> bool:
        """Whether the mask must be brought onto the image's grid first."""
        return self.relation in (Relation.ELSEWHERE, Relation.OTHER)


IRREGULAR_MASK = "The mask lies on irregular slices, which are not the image's."
IRREGULAR_IMAGE = "The image is a stack of irregular slices; only a mask drawn on exactly these slices fits."
MASK_UNPLACED = "The mask file does not say where it lies in the patient, and the image does. Save it as NIfTI or NRRD."
IMAGE_UNPLACED = "The image has no place in the patient, so a mask that has one cannot be laid over it."
OTHER_PIXELS = "Neither file says where it lies, and they do not have the same number of pixels."


def fit_of(mask: Grid, image: Grid) -> MaskFit:
    """Compare the grid of a mask with that of an image.

    Parameters
    ----------
    mask, image : Geometry or SliceStackGeometry
        As read.

    Returns
    -------
    MaskFit
        `SAME` only when every corner agrees within 1e-3 mm and the same is known of both.
    """
    if not isinstance(image, Geometry) or not isinstance(mask, Geometry):
        return _fit_of_stack(mask, image)
    if not (mask.orientation_known and image.orientation_known):
        return _fit_without_place(mask, image)
    if mask.matches(image):
        return MaskFit(Relation.SAME, _index_distance_mm(mask, image))
    if mask.shape_kji == image.shape_kji:
        return MaskFit(Relation.ELSEWHERE, _index_distance_mm(mask, image))
    return MaskFit(Relation.OTHER, _nearest_distance_mm(mask, image))


def _fit_of_stack(mask: Grid, image: Grid) -> MaskFit:
    if mask.matches(image):
        return MaskFit(Relation.SAME, 0.0)
    reason = IRREGULAR_MASK if isinstance(image, Geometry) else IRREGULAR_IMAGE
    return MaskFit(Relation.IMPOSSIBLE, None, reason)


def _fit_without_place(mask: Geometry, image: Geometry) -> MaskFit:
    if mask.orientation_known:
        return MaskFit(Relation.IMPOSSIBLE, None, IMAGE_UNPLACED)
    if image.orientation_known:
        return MaskFit(Relation.IMPOSSIBLE, None, MASK_UNPLACED)
    if mask.shape_kji != image.shape_kji:
        return MaskFit(Relation.IMPOSSIBLE, None, OTHER_PIXELS)
    return MaskFit(Relation.SAME if mask.matches(image) else Relation.UNPLACED)


def _index_distance_mm(mask: Geometry, image: Geometry) -> float:
    return float(np.linalg.norm(mask.corners_lps() - image.corners_lps(), axis=1).max())


def _nearest_distance_mm(one: Geometry, other: Geometry) -> float:
    """Return the largest distance of an outer corner (of voxels, not centres) from the nearest one of the other."""
    distances = np.linalg.norm(_outer_corners_lps(one)[:, None] - _outer_corners_lps(other)[None], axis=2)
    return float(distances.min(axis=1).max())


def _outer_corners_lps(grid: Geometry) -> Points:
    ends = [(-0.5, n - 0.5) for n in grid.shape_kji]
    return grid.index_to_lps([(k, j, i) for k in ends[0] for j in ends[1] for i in ends[2]])
