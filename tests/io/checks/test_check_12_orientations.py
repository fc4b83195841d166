"""Geometry check 12 (and 50): all 48 signed axis permutations keep the marker where it is in the patient."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray

from segdesk.core.geometry import Geometry
from segdesk.core.volume import Volume
from segdesk.io import read_volume, write_volume
from tests.io.dicom_maker import slice_dataset
from tests.io.world import LPS_FROM_RAS

_ORIENTATIONS = [(order, signs) for order in permutations(range(3)) for signs in product((1.0, -1.0), repeat=3)]
_SPACING = np.array([0.7, 1.1, 3.0])
_SHAPE_IJK = (5, 6, 7)
_MARKER_IJK = (1, 2, 4)
_TURN = np.deg2rad(12.0)
_OBLIQUE = np.array([[np.cos(_TURN), -np.sin(_TURN), 0], [np.sin(_TURN), np.cos(_TURN), 0], [0, 0, 1]]) @ np.array(
    [[1, 0, 0], [0, np.cos(0.2), -np.sin(0.2)], [0, np.sin(0.2), np.cos(0.2)]]
)


def _ijk_to_lps(order: tuple[int, ...], signs: tuple[float, ...], oblique: bool) -> NDArray[np.float64]:
    affine = np.eye(4)
    linear = np.zeros((3, 3))
    for column, (axis, sign) in enumerate(zip(order, signs, strict=True)):
        linear[axis, column] = sign
    affine[:3, :3] = ((_OBLIQUE if oblique else np.eye(3)) @ linear) * _SPACING
    affine[:3, 3] = (-31.0, 17.5, 120.25)
    return affine


def _array() -> NDArray[np.int16]:
    array = np.random.default_rng(5).integers(0, 90, _SHAPE_IJK[::-1]).astype(np.int16)
    array[_MARKER_IJK[::-1]] = 999
    return array


def _assert_marker(volume: Volume, affine_ijk_to_lps: NDArray[np.float64]) -> None:
    index_kji = np.unravel_index(int(volume.array.argmax()), volume.array.shape)
    expected = (affine_ijk_to_lps @ [*_MARKER_IJK, 1.0])[:3]
    np.testing.assert_allclose(volume.geometry.index_to_lps(index_kji), expected, atol=1e-3)


@pytest.mark.parametrize("oblique", [False, True])
@pytest.mark.parametrize(("order", "signs"), _ORIENTATIONS)
def test_check_12_nifti_keeps_the_marker_in_place(
    tmp_path: Path, order: tuple[int, ...], signs: tuple[float, ...], oblique: bool
) -> None:
    affine = _ijk_to_lps(order, signs, oblique)
    path = tmp_path / "made_by_nibabel.nii.gz"
    nibabel.save(nibabel.Nifti1Image(_array().T, LPS_FROM_RAS @ affine), path)
    volume = read_volume(path)
    _assert_marker(volume, affine)
    assert volume.geometry.orientation == "".join(nibabel.aff2axcodes(LPS_FROM_RAS @ affine))


@pytest.mark.parametrize(("order", "signs"), _ORIENTATIONS)
def test_check_12_nrrd_and_meta_image_keep_the_marker_in_place(
    tmp_path: Path, order: tuple[int, ...], signs: tuple[float, ...]
) -> None:
    affine = _ijk_to_lps(order, signs, oblique=True)
    image = SimpleITK.GetImageFromArray(_array())
    image.SetSpacing(_SPACING.tolist())
    image.SetDirection((affine[:3, :3] / _SPACING).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    for name in ("made_by_itk.nrrd", "made_by_itk.mha"):
        SimpleITK.WriteImage(image, str(tmp_path / name))
        _assert_marker(read_volume(tmp_path / name), affine)


@pytest.mark.parametrize(("order", "signs"), _ORIENTATIONS)
def test_check_12_dicom_keeps_the_marker_in_place(
    tmp_path: Path, order: tuple[int, ...], signs: tuple[float, ...]
) -> None:
    affine = _ijk_to_lps(order, signs, oblique=True)
    for k, pixels in enumerate(_array()):
        dataset = slice_dataset(pixels, (affine @ [0, 0, k, 1])[:3], k + 1)
        cosines = (affine[:3, :3] / _SPACING)[:, :2].T.ravel()
        dataset.ImageOrientationPatient = [f"{x:.12f}" for x in cosines]
        dataset.ImagePositionPatient = [f"{x:.10f}" for x in dataset.ImagePositionPatient]
        dataset.PixelSpacing = [_SPACING[1], _SPACING[0]]
        dataset.save_as(tmp_path / f"{k}.dcm", enforce_file_format=True)
    _assert_marker(read_volume(tmp_path), affine)


@pytest.mark.parametrize("name", ["out.nii.gz", "out.nii", "out.nrrd", "out.mha"])
@pytest.mark.parametrize(("order", "signs"), _ORIENTATIONS[::5])
def test_check_50_what_we_write_has_the_marker_in_place_for_others(
    tmp_path: Path, order: tuple[int, ...], signs: tuple[float, ...], name: str
) -> None:
    affine = _ijk_to_lps(order, signs, oblique=True)
    geometry = Geometry(_SHAPE_IJK[::-1], affine @ np.eye(4)[[2, 1, 0, 3]])
    write_volume(Volume(_array(), geometry), tmp_path / name)
    image = SimpleITK.ReadImage(str(tmp_path / name))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), _array())
    there = image.TransformIndexToPhysicalPoint(_MARKER_IJK)
    np.testing.assert_allclose(there, (affine @ [*_MARKER_IJK, 1.0])[:3], atol=1e-3)
    if ".nii" in name:
        theirs = nibabel.load(tmp_path / name)
        np.testing.assert_allclose(theirs.affine, LPS_FROM_RAS @ affine, atol=1e-4)
        np.testing.assert_array_equal(np.asanyarray(theirs.dataobj), _array().T)
