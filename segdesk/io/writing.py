"""Exporting images and masks: written, read back, compared, then put in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.core.progress import Progress, silent
from segdesk.core.volume import Volume
from segdesk.errors import SegdeskError, UsageError, WriteError
from segdesk.io.atomic import name_suffix, replace_file
from segdesk.io.reading import read_labels, read_volume

_NIFTI = (".nii", ".nii.gz")
_NRRD = (".nrrd", ".seg.nrrd")
_META = (".mha",)
_PNG = (".png",)
_TIFF = (".tif", ".tiff")
_DICOM = (".dcm",)
_IMAGES = (*_NIFTI, *_NRRD, *_META, *_PNG, *_TIFF)
_MASKS = (*_IMAGES, *_DICOM)


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
    if name_suffix(path).lower() in _DICOM:
        message = f"{path.name}: segdesk writes DICOM for masks only; write an image as .nii.gz."
        raise UsageError(message, code="unsupported_format", path=path)
    suffix = _suffix(path, _IMAGES)
    array = _storable(volume.array)
    geometry = _regular(volume.geometry, path, suffix)
    if volume.time_points > 1 and suffix not in (*_NIFTI, *_NRRD):
        raise WriteError(f"{path.name}: {suffix} holds no time axis; use .nii.gz or .nrrd.", path=path)
    if volume.time_points > 1 and volume.is_rgb and suffix in _NRRD:
        raise WriteError(f"{path.name}: {suffix} holds colours or a time axis, not both; use .nii.gz.", path=path)
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


def write_labels(
    labels: LabelMap,
    path: Path | str,
    *,
    overwrite: bool = False,
    reference: Path | str | None = None,
    seg_type: str = "binary",
    report: Progress = silent,
) -> None:
    """Write a mask in the format its name says.

    Parameters
    ----------
    labels : LabelMap
        Names, colours and codes are kept by NIfTI (a comment extension), NRRD (Slicer's
        keys) and DICOM; layers by NRRD and DICOM only. An empty mask is valid.
    path : path-like
        .nii, .nii.gz, .nrrd, .seg.nrrd, .mha, .png, .tif, .dcm (DICOM Segmentation, or RT
        Structure Set).
    overwrite : bool
    reference : path-like, optional
        The DICOM image the mask was drawn on, or a folder that holds it: for .dcm.
    seg_type : str
        For .dcm: "binary", or "labelmap" (Supplement 243, which few programs read), or
        "rtstruct" (contours; RT Structure Set).
    report : Progress

    Raises
    ------
    UsageError, WriteError
        As `write_volume`; overlapping layers are refused by formats that would flatten them.
    ReadError, GeometryMismatch
        For .dcm: as `segdesk.io.dicom_seg.writer.write_seg` and
        `segdesk.io.rtstruct.writing.write_rtstruct`.
    """
    path = Path(path)
    suffix = _suffix(path, _MASKS)
    if suffix in _DICOM:
        _write_dicom(labels, path, reference, seg_type, overwrite, report)
        return
    geometry = _regular(labels.geometry, path, suffix)
    if len(labels.layers) > 1 and suffix not in _NRRD:
        raise WriteError(
            f"{path.name}: the mask has overlapping segments, which {suffix} would flatten; use .seg.nrrd or .dcm, "
            "or one file a layer (--split-layers).",
            path=path,
        )
    write = _label_writer(labels, geometry, suffix, path)

    def is_right(temporary: Path) -> bool:
        try:
            return _same_labels(read_labels(temporary), labels, suffix)
        except SegdeskError:
            return False

    replace_file(path, write, is_right, overwrite=overwrite)


def _write_dicom(
    labels: LabelMap, path: Path, reference: Path | str | None, seg_type: str, overwrite: bool, report: Progress
) -> None:
    from segdesk.io.dicom_seg.model import SegmentationType
    from segdesk.io.dicom_seg.writer import write_seg

    kinds = {"binary": SegmentationType.BINARY, "labelmap": SegmentationType.LABELMAP}
    if seg_type not in (*kinds, "rtstruct"):
        raise UsageError(f"A DICOM mask is written as {', '.join(kinds)} or rtstruct, not as {seg_type!r}.")
    if reference is None:
        message = f"{path.name}: a DICOM mask refers to the image it was drawn on; name it (--reference)."
        raise UsageError(message, code="no_reference", path=path)
    if seg_type == "rtstruct":
        from segdesk.io.rtstruct.writing import write_rtstruct

        write_rtstruct(labels, path, reference, overwrite=overwrite, report=report)
        return
    write_seg(labels, path, Path(reference), kinds[seg_type], overwrite=overwrite, report=report)


def _suffix(path: Path, known: Sequence[str]) -> str:
    suffix = name_suffix(path).lower()
    if suffix not in known:
        raise UsageError(
            f"{path.name}: segdesk writes {', '.join(known)}; choose one of these extensions.",
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
