from __future__ import annotations

import numpy as np
import pytest
import SimpleITK

from segdesk.core import resample
from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.core.labels import LabelMap
from segdesk.core.resample import Interpolation, resample_array, resample_labels, resample_volume
from segdesk.core.volume import Volume
from segdesk.errors import GeometryMismatch, ShapeMismatch
from tests.builders import oblique_geometry, sheared_geometry


def as_itk(array, geometry):
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(geometry.spacing_kji_mm[::-1])
    image.SetOrigin(geometry.affine_kji_to_lps[:3, 3])
    image.SetDirection(geometry.directions_lps[:, ::-1].ravel())
    return image


def itk_resample(array, source, target, interpolator):
    reference = as_itk(np.zeros(target.shape_kji, np.uint8), target)
    moved = SimpleITK.Resample(as_itk(array, source), reference, SimpleITK.Transform(), interpolator, -5.0)
    return SimpleITK.GetArrayFromImage(moved)


def grids():
    source = oblique_geometry((12, 20, 24))
    inside = Geometry.from_spacing((30, 31, 33), (1.3, 0.9, 1.7))
    affine = inside.affine_kji_to_lps.copy()
    affine[:3, 3] = source.corners_lps().min(axis=0) - 3.0
    return source, Geometry(inside.shape_kji, affine)


@pytest.mark.parametrize("slab_voxels", [1, 5000, 1 << 21])
@pytest.mark.parametrize(
    ("how", "interpolator", "dtype"),
    [
        (Interpolation.NEAREST, SimpleITK.sitkNearestNeighbor, np.int16),
        (Interpolation.LINEAR, SimpleITK.sitkLinear, np.float32),
    ],
)
def test_oblique_to_axis_aligned_equals_simpleitk_whatever_the_slab(monkeypatch, slab_voxels, how, interpolator, dtype):
    monkeypatch.setattr(resample, "_SLAB_VOXELS", slab_voxels)
    source, target = grids()
    array = np.random.default_rng(3).integers(0, 900, source.shape_kji).astype(dtype)
    ours = resample_array(array, source, target, how, fill=-5.0)
    theirs = itk_resample(array, source, target, interpolator)
    assert ours.dtype == dtype
    assert 0.05 < np.mean(theirs != -5) < 0.95
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_a_sheared_source_is_sampled_where_its_voxels_lie():
    source = sheared_geometry((6, 8, 10))
    array = np.zeros(source.shape_kji, np.uint8)
    array[4, 5, 3] = 9
    target = Geometry((1, 1, 1), np.array([[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]]))
    affine = target.affine_kji_to_lps.copy()
    affine[:3, 3] = source.index_to_lps((4, 5, 3))
    moved = resample_array(array, source, Geometry((1, 1, 1), affine), Interpolation.NEAREST)
    assert moved.item() == 9


def test_linear_reproduces_a_linear_ramp_between_centres():
    source, target = Geometry.from_spacing((4, 5, 6), (3, 2, 1)), Geometry.from_spacing((7, 9, 11), (1.5, 1, 0.5))
    k, j, i = np.meshgrid(*(np.arange(n) for n in source.shape_kji), indexing="ij")
    moved = resample_array((k * 3.0 + j * 2 + i), source, target, Interpolation.LINEAR)
    k, j, i = np.meshgrid(*(np.arange(n) for n in target.shape_kji), indexing="ij")
    assert moved.dtype == np.float64
    np.testing.assert_allclose(moved, k * 1.5 + j + i * 0.5, atol=1e-12)


def test_the_same_grid_gives_the_same_labels_in_every_layer():
    geometry = oblique_geometry()
    rng = np.random.default_rng(4)
    layers = tuple(rng.integers(0, 4, geometry.shape_kji).astype(np.uint8) for _ in range(2))
    labels = LabelMap(layers, geometry, LabelMap.of(layers[0], geometry).table)
    moved = resample_labels(labels, geometry)
    assert moved.table == labels.table
    assert moved.origin == labels.origin
    for before, after in zip(layers, moved.layers, strict=True):
        np.testing.assert_array_equal(before, after)


def test_rounding_at_the_border_loses_no_voxel():
    source = Geometry.from_spacing((3, 3, 3), (0.1, 0.3, 0.7))
    target = Geometry.from_spacing((6, 6, 6), (0.05, 0.15, 0.35))
    moved = resample_array(np.ones((3, 3, 3), np.uint8), source, target, Interpolation.NEAREST)
    assert moved.all()


def test_boolean_masks_stay_boolean():
    source = Geometry.from_spacing((2, 2, 2))
    moved = resample_array(np.eye(2, dtype=bool)[None].repeat(2, 0), source, source, Interpolation.NEAREST)
    assert moved.dtype == np.bool_
    np.testing.assert_array_equal(moved[0], np.eye(2, dtype=bool))


def test_a_volume_far_away_gives_only_fill():
    volume = Volume(np.ones((2, 3, 4), np.int16), Geometry.from_spacing((2, 3, 4)))
    affine = np.eye(4)
    affine[:3, 3] = 1e4
    moved = resample_volume(volume, Geometry((2, 2, 2), affine), fill=-1024)
    assert moved.array.dtype == np.float32
    assert (moved.array == -1024).all()


def test_an_empty_source_gives_only_fill():
    moved = resample_array(
        np.zeros((0, 3, 4)),
        Geometry.from_spacing((0, 3, 4)),
        Geometry.from_spacing((1, 2, 2)),
        Interpolation.LINEAR,
        7.0,
    )
    assert (moved == 7.0).all()


def test_an_array_of_another_shape_is_refused():
    geometry = Geometry.from_spacing((2, 3, 4))
    with pytest.raises(ShapeMismatch, match=r"\(2, 3, 5\)"):
        resample_array(np.zeros((2, 3, 5)), geometry, geometry, Interpolation.NEAREST)


def test_a_stack_of_irregular_slices_is_refused():
    affines = np.zeros((2, 4, 3))
    affines[:, 0, 1] = affines[:, 1, 0] = affines[:, 3, 2] = 1
    stack = SliceStackGeometry((2, 3, 4), affines, np.ones(2))
    labels = LabelMap.of(np.zeros((2, 3, 4), np.uint8), stack)
    with pytest.raises(GeometryMismatch, match="irregular"):
        resample_labels(labels, Geometry.from_spacing((2, 3, 4)))
