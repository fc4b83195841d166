"""Where voxels lie in the patient.

One convention everywhere: arrays are C-contiguous ``array[k, j, i]`` (slice,
row, column); an affine maps the voxel-centre index (k, j, i, 1) to LPS
millimetres, the patient frame of DICOM. RAS exists only in `segdesk.io.nifti`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from segdesk.core.box import Box, Index3
from segdesk.errors import InconsistentSeries

Affine = NDArray[np.float64]
Points = NDArray[np.float64]

CORNER_ATOL_MM = 1e-3
"""Two grids are the same when every corner agrees within this; scanners round positions to about 1e-4 mm."""

SHEAR_ATOL = 1.7e-3
"""Largest cosine between two index axes still read as orthogonal: sin(0.1 degree), GEOMETRY check 9."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """A regular grid of voxels in the patient; shear is allowed.

    Parameters
    ----------
    shape_kji : tuple of int
        Number of slices, rows, columns.
    affine_kji_to_lps : ndarray of float64, shape (4, 4)
        Maps (k, j, i, 1) at voxel centres to LPS mm. Kept read-only.
    orientation_known : bool
        False when the file says nothing about the patient's axes.
    spacing_known : bool
        False when lengths are in pixels, not mm.
    source : str
        Where the geometry came from, in words for the user ("DICOM positions",
        "NIfTI sform", "none").
    frame_of_reference_uid : str, optional
        DICOM frame of reference.

    Raises
    ------
    InconsistentSeries
        If the affine is not finite or is singular (code ``bad_geometry``).
    """

    shape_kji: Index3
    affine_kji_to_lps: Affine
    orientation_known: bool = True
    spacing_known: bool = True
    source: str = "unknown"
    frame_of_reference_uid: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Check the affine and freeze it."""
        affine = np.array(self.affine_kji_to_lps, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise InconsistentSeries("The affine holds NaN or infinite numbers; get the file from its source again.")
        if abs(np.linalg.det(affine[:3, :3])) < 1e-12:
            raise InconsistentSeries("The affine is singular (a spacing of zero, or parallel axes).")
        affine.setflags(write=False)
        object.__setattr__(self, "affine_kji_to_lps", affine)
        k, j, i = (int(n) for n in self.shape_kji)
        object.__setattr__(self, "shape_kji", (k, j, i))

    @classmethod
    def from_spacing(cls, shape_kji: Index3, spacing_kji_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Geometry:
        """Return an axis-aligned grid: i to the left, j to posterior, k to superior."""
        dk, dj, di = spacing_kji_mm
        affine = np.array([[0, 0, di, 0], [0, dj, 0, 0], [dk, 0, 0, 0], [0, 0, 0, 1]], dtype=np.float64)
        return cls(shape_kji, affine, source="axis-aligned")

    def __eq__(self, other: object) -> bool:
        """Compare shape, affine (exactly) and what is known."""
        if not isinstance(other, Geometry):
            return NotImplemented
        return (
            self.shape_kji == other.shape_kji
            and np.array_equal(self.affine_kji_to_lps, other.affine_kji_to_lps)
            and (self.orientation_known, self.spacing_known) == (other.orientation_known, other.spacing_known)
        )

    def __hash__(self) -> int:
        """Hash shape and affine."""
        return hash((self.shape_kji, self.affine_kji_to_lps.tobytes()))

    @property
    def spacing_kji_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxel centres along each index axis, in mm."""
        dk, dj, di = (float(x) for x in np.linalg.norm(self.affine_kji_to_lps[:3, :3], axis=0))
        return dk, dj, di

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel in mm3: |det| of the affine, exact for sheared grids."""
        return float(abs(np.linalg.det(self.affine_kji_to_lps[:3, :3])))

    @property
    def directions_lps(self) -> NDArray[np.float64]:
        """Unit vectors of the k, j and i axes in LPS, as columns of a (3, 3) array."""
        columns = self.affine_kji_to_lps[:3, :3]
        return np.asarray(columns / np.linalg.norm(columns, axis=0), dtype=np.float64)

    @property
    def shear_cosine(self) -> float:
        """Largest |cosine| between two index axes; 0 for an orthogonal grid."""
        gram = self.directions_lps.T @ self.directions_lps
        return float(np.abs(gram[np.triu_indices(3, 1)]).max())

    @property
    def is_sheared(self) -> bool:
        """Whether the index axes leave the right angle by more than 0.1 degree."""
        return self.shear_cosine > SHEAR_ATOL

    @property
    def orientation(self) -> str:
        """Nearest anatomical direction of the i, j, k axes as nibabel prints it ("RAS"), or "unknown"."""
        if not self.orientation_known:
            return "unknown"
        letters = [_LETTERS[axis][sign] for axis, sign in nearest_axes(self.directions_lps)]
        return "".join(reversed(letters))

    def index_to_lps(self, index_kji: ArrayLike) -> Points:
        """Map (continuous) voxel indices to patient coordinates.

        Parameters
        ----------
        index_kji : array_like, shape (..., 3)
            Indices in (k, j, i); voxel centres are whole numbers.

        Returns
        -------
        ndarray of float64, shape (..., 3)
            LPS millimetres.
        """
        index = np.asarray(index_kji, dtype=np.float64)
        points: Points = index @ self.affine_kji_to_lps[:3, :3].T + self.affine_kji_to_lps[:3, 3]
        return points

    def lps_to_index(self, point_lps: ArrayLike) -> Points:
        """Map LPS millimetres, shape (..., 3), to continuous (k, j, i) indices."""
        inverse = np.linalg.inv(self.affine_kji_to_lps)
        index = np.asarray(point_lps, dtype=np.float64) @ inverse[:3, :3].T + inverse[:3, 3]
        return np.asarray(index, dtype=np.float64)

    def corners_lps(self) -> Points:
        """Return the LPS mm of the eight corner voxel centres, shape (8, 3)."""
        last = [(0, max(0, n - 1)) for n in self.shape_kji]
        return self.index_to_lps([(k, j, i) for k in last[0] for j in last[1] for i in last[2]])

    def matches(self, other: Grid, atol_mm: float = CORNER_ATOL_MM) -> bool:
        """Whether both are the same grid: equal shape and every corner within `atol_mm`."""
        if not isinstance(other, Geometry) or self.shape_kji != other.shape_kji:
            return False
        return bool(np.abs(self.corners_lps() - other.corners_lps()).max() <= atol_mm)

    def crop(self, box: Box) -> Geometry:
        """Return the grid of a sub-box; world coordinates of its voxels do not change."""
        affine = self.affine_kji_to_lps.copy()
        affine[:3, 3] = self.index_to_lps(box.start_kji)
        return replace(self, shape_kji=box.shape_kji, affine_kji_to_lps=affine)

    def at_slice(self, k: int) -> Geometry:
        """Return the grid of one slice."""
        return self.crop(Box((k, 0, 0), (k + 1, *self.shape_kji[1:])))

    def sha256(self) -> str:
        """Return the hash of shape and affine (rounded to 1e-6 mm), for manifests and passports."""
        rounded = np.round(self.affine_kji_to_lps, 6) + 0.0
        text = repr((self.shape_kji, rounded.tolist()))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class SliceStackGeometry:
    """Slices with a place and a thickness each: an irregular or unplaced series.

    Parameters
    ----------
    shape_kji : tuple of int
        Number of slices, rows, columns.
    slice_affines_ji_to_lps : ndarray of float64, shape (K, 4, 3)
        For each slice, maps (j, i, 1) to homogeneous LPS mm.
    thickness_k_mm : ndarray of float64, shape (K,)
        Extent of each slice along its normal, in mm, for volumes.
    orientation_known, spacing_known, source, frame_of_reference_uid
        As in `Geometry`.
    """

    shape_kji: Index3
    slice_affines_ji_to_lps: NDArray[np.float64]
    thickness_k_mm: NDArray[np.float64]
    orientation_known: bool = True
    spacing_known: bool = True
    source: str = "unknown"
    frame_of_reference_uid: str | None = None

    @property
    def spacing_ji_mm(self) -> tuple[float, float]:
        """Row and column spacing of the first slice in mm."""
        first = self.slice_affines_ji_to_lps[0, :3]
        return float(np.linalg.norm(first[:, 0])), float(np.linalg.norm(first[:, 1]))

    @property
    def voxel_volumes_k_mm3(self) -> NDArray[np.float64]:
        """Volume of one voxel of each slice in mm3, from its own pixel area and thickness."""
        axes = self.slice_affines_ji_to_lps[:, :3, :2]
        areas_mm2 = np.linalg.norm(np.cross(axes[..., 0], axes[..., 1]), axis=-1)
        return np.asarray(self.thickness_k_mm * areas_mm2, dtype=np.float64)

    def index_to_lps(self, index_kji: ArrayLike) -> Points:
        """Map indices (whole k, continuous j and i), shape (..., 3), to LPS mm."""
        index = np.asarray(index_kji, dtype=np.float64)
        affines = self.slice_affines_ji_to_lps[index[..., 0].astype(np.intp)]
        plane = np.stack([index[..., 1], index[..., 2], np.ones_like(index[..., 0])], axis=-1)
        return np.asarray(np.einsum("...rc,...c->...r", affines[..., :3, :], plane), dtype=np.float64)

    def at_slice(self, k: int) -> SliceStackGeometry:
        """Return the grid of one slice."""
        return replace(
            self,
            shape_kji=(1, *self.shape_kji[1:]),
            slice_affines_ji_to_lps=self.slice_affines_ji_to_lps[k : k + 1],
            thickness_k_mm=self.thickness_k_mm[k : k + 1],
        )

    def matches(self, other: Grid, atol_mm: float = CORNER_ATOL_MM) -> bool:
        """Whether both have the same slices at the same places within `atol_mm`."""
        if not isinstance(other, SliceStackGeometry) or self.shape_kji != other.shape_kji:
            return False
        return bool(np.abs(self._corners_lps() - other._corners_lps()).max() <= atol_mm)

    def sha256(self) -> str:
        """Return the hash of shape and slice places (rounded to 1e-6 mm)."""
        rounded = np.round(self.slice_affines_ji_to_lps, 6) + 0.0
        text = repr((self.shape_kji, rounded.tolist()))
        return hashlib.sha256(text.encode()).hexdigest()

    def _corners_lps(self) -> Points:
        count, rows, columns = self.shape_kji
        corners = [(k, j, i) for k in range(count) for j in (0, rows - 1) for i in (0, columns - 1)]
        return self.index_to_lps(corners)


Grid = Geometry | SliceStackGeometry
"""Any grid a volume or a label map can lie on."""

_LETTERS = (("L", "R"), ("P", "A"), ("S", "I"))
"""LPS axis -> letter of its positive and its negative direction."""


def nearest_axes(directions_lps: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Assign each column of a (3, 3) direction matrix to a patient axis, one to one.

    Returns
    -------
    list of (axis, sign_index)
        Per column: the LPS axis 0..2 and 0 for its positive, 1 for its negative direction.
        No axis is used twice, also for oblique and sheared grids: the assignment with the
        greatest sum of |cosines| is taken.
    """
    cosines = np.abs(directions_lps)
    best = max(_PERMUTATIONS, key=lambda p: sum(cosines[p[c], c] for c in range(3)))
    return [(best[c], int(directions_lps[best[c], c] < 0)) for c in range(3)]


def direction_letter(direction_lps: ArrayLike) -> str:
    """Return the letter (L R P A S I) of the patient direction nearest to a vector."""
    vector = np.asarray(direction_lps, dtype=np.float64)
    axis = int(np.argmax(np.abs(vector)))
    return _LETTERS[axis][int(vector[axis] < 0)]


_PERMUTATIONS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
