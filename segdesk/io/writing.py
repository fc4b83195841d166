"""Exporting images and masks: written, read back, compared, then put in place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.core.volume import Volume
from segdesk.errors import SegdeskError, UsageError, WriteError
from segdesk.io.atomic import name_suffix, replace_file
from segdesk.io.reading import read_labels, read_volume

_NIFTI = (".nii", ".nii.gz")
_NRRD = (".nrrd", ".seg.nrrd")
_META = (".mha",)
_PNG = (".png",)
_TIFF = (".tif", ".tiff")
_ALL = (*_NIFTI, *_NRRD, *_META, *_PNG, *_TIFF)


def write_volume(volume: Volume, path: Path | str, *, overwrite: bool = False) -> None:
    """Write an image in the format its name says.

    Parameters
    ----------
    volume : Volume
        A time axis is kept by NIfTI and NRRD; PNG takes one slice, TIFF any number.
    path : path-like
        .nii, .nii.gz, .nrrd, .mha, .png, .tif.
    overwrite : bool

    Raises
    ------
    UsageError
        For another extension (code ``unsupported_format``).
    WriteError
        ``exists``; ``no_shear_in_format`` when the format cannot hold the grid (a sheared
        one in NRRD or MetaImage, an irregular stack anywhere, unknown sides in MetaImage);
        ``verify_failed``.
    """
    path = Path(path)
    suffix = _suffix(path)
    array = _storable(volume.array)
    geometry = _regular(volume.geometry, path, suffix)
    if volume.time_points > 1 and suffix not in (*_NIFTI, *_NRRD):
        raise WriteError(f"{path.name}: {suffix} holds no time axis; use .nii.gz or .nrrd.", path=path)
    if suffix == ".seg.nrrd":
        raise UsageError(f"{path.name}: .seg.nrrd is for masks; use .nrrd for an image.", path=path)
    write = _volume_writer(volume, array, geometry, suffix, path)

    def is_right(temporary: Path) -> bool:
        try:
            back = read_volume(temporary)
        except SegdeskError:
            return False
        return _equal(back.array, array) and (suffix in (*_PNG, *_TIFF) or _same_place(back.geometry, geometry))

    replace_file(path, write, is_right, overwrite=overwrite)


def write_labels(labels: LabelMap, path: Path | str, *, overwrite: bool = False) -> None:
    """Write a mask in the format its name says.

    Parameters
    ----------
    labels : LabelMap
        Names and colours are kept by NIfTI (a comment extension) and NRRD (Slicer's
        keys); layers by NRRD only. An empty mask is valid.
    path : path-like
        .nii, .nii.gz, .nrrd, .seg.nrrd, .mha, .png, .tif.
    overwrite : bool

    Raises
    ------
    UsageError, WriteError
        As `write_volume`; overlapping layers are refused by formats that would flatten them.
    """
    path = Path(path)
    suffix = _suffix(path)
    geometry = _regular(labels.geometry, path, suffix)
    if len(labels.layers) > 1 and suffix not in _NRRD:
        raise WriteError(
            f"{path.name}: the mask has overlapping segments, which only .seg.nrrd keeps; use that.", path=path
        )
    write = _label_writer(labels, geometry, suffix, path)

    def is_right(temporary: Path) -> bool:
        try:
            return _same_labels(read_labels(temporary), labels, suffix)
        except SegdeskError:
            return False

    replace_file(path, write, is_right, overwrite=overwrite)


def _suffix(path: Path) -> str:
    suffix = name_suffix(path).lower()
    if suffix not in _ALL:
        raise UsageError(
            f"{path.name}: segdesk writes {', '.join(_ALL)}; choose one of these extensions.",
            code="unsupported_format",
            path=path,
        )
    return suffix


def _regular(geometry: object, path: Path, suffix: str) -> Geometry:
    """Return the grid if the format can hold it exactly."""
    if not isinstance(geometry, Geometry):
        raise WriteError(
            f"{path.name}: the slices are irregular or have no place, which {suffix} cannot hold.",
            code="no_shear_in_format",
            path=path,
        )
    if suffix in _META and not geometry.orientation_known and geometry.shape_kji[0] > 1:
        raise WriteError(
            f"{path.name}: left and right are not known, which {suffix} cannot say; use .nii.gz or .nrrd.",
            code="no_shear_in_format",
            path=path,
        )
    if geometry.is_sheared and suffix in (*_NRRD, *_META):
        raise WriteError(
            f"{path.name}: the grid is sheared (gantry tilt), which readers of {suffix} refuse; use .nii.gz.",
            code="no_shear_in_format",
            path=path,
        )
    return geometry


def _storable(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array in a type every format knows."""
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    if array.dtype == np.float16:
        return array.astype(np.float32)
    return np.ascontiguousarray(array)


def _volume_writer(
    volume: Volume, array: NDArray[Any], geometry: Geometry, suffix: str, path: Path
) -> Callable[[Path], None]:
    if suffix in _NIFTI:
        from segdesk.io.nifti_write import write_nifti

        return lambda temporary: write_nifti(temporary, array, geometry)
    if suffix in _NRRD:
        from segdesk.io.nrrd import write_nrrd

        layers = np.moveaxis(array, -1, 0) if volume.is_rgb else array if volume.time_points > 1 else array[None]
        kind = "RGB-color" if volume.is_rgb else "list"
        return lambda temporary: write_nrrd(temporary, layers, geometry, {}, kind)
    if suffix in _META:
        from segdesk.io.meta_image import write_meta

        return lambda temporary: write_meta(temporary, array, geometry, is_rgb=volume.is_rgb)
    return _picture_writer(array, suffix, path)


def _label_writer(labels: LabelMap, geometry: Geometry, suffix: str, path: Path) -> Callable[[Path], None]:
    if suffix in _NIFTI:
        from segdesk.io.nifti_write import write_nifti

        return lambda temporary: write_nifti(temporary, labels.array, geometry, labels.table)
    if suffix in _NRRD:
        from segdesk.io.seg_nrrd import write_nrrd_labels

        return lambda temporary: write_nrrd_labels(temporary, labels, geometry)
    if suffix in _META:
        from segdesk.io.meta_image import write_meta

        return lambda temporary: write_meta(temporary, labels.array, geometry)
    return _picture_writer(labels.array, suffix, path)


def _picture_writer(array: NDArray[Any], suffix: str, path: Path) -> Callable[[Path], None]:
    from segdesk.io.raster import write_raster

    if suffix in _PNG and len(array) > 1:
        raise WriteError(f"{path.name}: a PNG holds one slice; use .tif or .nii.gz for {len(array)}.", path=path)
    if suffix in _PNG and array.dtype not in (np.uint8, np.uint16):
        raise WriteError(f"{path.name}: PNG holds 8 or 16 bit without sign, not {array.dtype}; use .tif.", path=path)
    return lambda temporary: write_raster(temporary, array)


def _equal(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return one.dtype == other.dtype and bool(np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))


def _same_place(back: object, geometry: Geometry) -> bool:
    if not isinstance(back, Geometry):
        return False
    if back.orientation_known != geometry.orientation_known:
        return False
    return back.matches(geometry) if geometry.orientation_known else back.shape_kji == geometry.shape_kji


def _same_labels(back: LabelMap, labels: LabelMap, suffix: str) -> bool:
    """Compare voxels, place, and names where the format holds them."""
    if len(back.layers) != len(labels.layers):
        return False
    if not all(np.array_equal(a, b) for a, b in zip(back.layers, labels.layers, strict=True)):
        return False
    if suffix in (*_PNG, *_TIFF):
        return True
    has_names = suffix in (*_NIFTI, *_NRRD)
    names_kept = not has_names or all(
        back.table.name_of(each.value) == each.name.strip() or back.table.name_of(each.value) == each.name
        for each in labels.table
    )
    return names_kept and isinstance(labels.geometry, Geometry) and _same_place(back.geometry, labels.geometry)
