"""One grid inside another: exactly where the places in the patient say, or not at all."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.core.labels import LabelMap
from segdesk.core.placement import lay_on, placement_of, slice_geometry
from segdesk.errors import GeometryMismatch
from tests.builders import oblique_geometry, sheared_geometry

_SIGNED = [
    (order, signs) for order in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)
]


def _turned(grid: Geometry, array: np.ndarray, order: tuple[int, ...], signs: tuple[int, ...]) -> LabelMap:
    """The same voxels stored along other axes: new axis n is the grid's axis order[n], forwards or backwards."""
    relation = np.eye(4)
    relation[:3, :3] = 0
    for axis, (old, sign) in enumerate(zip(order, signs, strict=True)):
        relation[old, axis] = sign
        relation[old, 3] = 0 if sign > 0 else grid.shape_kji[old] - 1
    turned = np.flip(array.transpose(order), [n for n in range(3) if signs[n] < 0])
    return LabelMap.of(np.ascontiguousarray(turned), Geometry(turned.shape, grid.affine_kji_to_lps @ relation))


@pytest.mark.parametrize(("order", "signs"), _SIGNED, ids=str)
def test_all_48_ways_to_store_a_grid_are_turned_back(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    grid = oblique_geometry((3, 4, 5))
    array = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    np.testing.assert_array_equal(lay_on(_turned(grid, array, order, signs), grid).array, array)


def test_a_sheared_grid_is_matched_with_its_shear() -> None:
    grid = sheared_geometry((3, 4, 5))
    array = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    np.testing.assert_array_equal(lay_on(_turned(grid, array, (0, 2, 1), (1, -1, 1)), grid).array, array)


def test_a_mask_that_lies_there_already_is_left_alone() -> None:
    labels = LabelMap.empty(oblique_geometry())
    assert lay_on(labels, oblique_geometry()) is labels


def test_a_part_is_put_into_the_whole_and_the_rest_is_background() -> None:
    grid = oblique_geometry((6, 8, 10))
    affine = grid.affine_kji_to_lps.copy()
    affine[:3, 3] = grid.index_to_lps((1, 2, 3))
    part = LabelMap.of(np.full((2, 3, 4), 7, np.uint8), Geometry((2, 3, 4), affine))
    whole = lay_on(part, grid)
    assert whole.geometry is grid
    assert int(np.count_nonzero(whole.array)) == 24
    assert (whole.array[1:3, 2:5, 3:7] == 7).all()


def test_the_step_of_a_single_slice_does_not_matter() -> None:
    grid = oblique_geometry((6, 8, 10))
    affine = grid.affine_kji_to_lps.copy()
    affine[:3, 3] = grid.index_to_lps((4, 0, 0))
    affine[:3, 0] *= 7.7
    one = placement_of(Geometry((1, 8, 10), affine), grid)
    assert one.start_kji == (4, 0, 0)
    array = np.zeros(grid.shape_kji)
    one.view(array)[...] = 1
    assert array[4].all()
    assert array.sum() == 80


def _moved(grid: Geometry, mm: float, shape: tuple[int, int, int] | None = None) -> Geometry:
    affine = grid.affine_kji_to_lps.copy()
    affine[1, 3] += mm
    return Geometry(shape or grid.shape_kji, affine)


def test_a_thousandth_of_a_millimetre_decides() -> None:
    grid = oblique_geometry()
    assert placement_of(_moved(grid, 0.0009), grid).start_kji == (0, 0, 0)
    with pytest.raises(GeometryMismatch, match=r"0\.0011 mm beside"):
        placement_of(_moved(grid, 0.0011), grid)


@pytest.mark.parametrize("factor", [(1, 1, 0.5), (1, 1.5, 1), (1, 0.7 / 1.1, 1.1 / 0.7)])
def test_other_voxel_sizes_are_named(factor: tuple[float, float, float]) -> None:
    grid = oblique_geometry()
    other = Geometry(grid.shape_kji, grid.affine_kji_to_lps * np.array([*factor, 1.0]))
    with pytest.raises(GeometryMismatch, match="size or direction"):
        placement_of(other, grid)


def test_two_axes_along_one_of_the_image_are_refused() -> None:
    grid = Geometry.from_spacing((1, 2, 2))
    other = np.array([[0, 0.3, 0.5, 0], [0, 1, 0.9, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    with pytest.raises(GeometryMismatch, match="size or direction"):
        placement_of(Geometry((1, 2, 2), other), grid)


def test_what_reaches_beyond_the_image_is_refused_and_counted() -> None:
    grid = oblique_geometry((6, 8, 10))
    affine = grid.affine_kji_to_lps.copy()
    affine[:3, 3] = grid.index_to_lps((-2, 0, 0))
    with pytest.raises(GeometryMismatch, match="2 voxels beyond the image along k"):
        placement_of(Geometry((6, 8, 10), affine), grid)


def test_another_frame_of_reference_is_another_world() -> None:
    one = Geometry((2, 2, 2), np.eye(4), frame_of_reference_uid="1.2.3")
    other = Geometry((2, 2, 2), np.eye(4), frame_of_reference_uid="1.2.4")
    with pytest.raises(GeometryMismatch, match="frame of reference"):
        lay_on(LabelMap.empty(one), other)
    assert lay_on(LabelMap.empty(one), Geometry((2, 2, 2), np.eye(4))).values() == ()


def test_grids_without_a_place_match_only_as_a_whole() -> None:
    unknown = Geometry((2, 3, 4), np.eye(4), orientation_known=False)
    known = Geometry((2, 3, 4), np.eye(4))
    assert placement_of(unknown, unknown).start_kji == (0, 0, 0)
    with pytest.raises(GeometryMismatch, match="mask does not say"):
        placement_of(unknown, known)
    with pytest.raises(GeometryMismatch, match="image does not say"):
        placement_of(known, unknown)
    with pytest.raises(GeometryMismatch, match="number or size"):
        placement_of(Geometry((2, 3, 3), np.eye(4), orientation_known=False), unknown)


def _stack(zs_mm: tuple[float, ...]) -> SliceStackGeometry:
    affines = np.zeros((len(zs_mm), 4, 3))
    affines[:, 1, 0] = 0.8
    affines[:, 0, 1] = 0.7
    affines[:, 2, 2] = zs_mm
    affines[:, 3, 2] = 1
    return SliceStackGeometry((len(zs_mm), 4, 5), affines, np.full(len(zs_mm), 2.0))


def test_slices_find_their_place_on_a_stack_and_on_a_grid() -> None:
    stack = _stack((0.0, 3.0, 6.0, 10.0))
    grid = Geometry.from_spacing((3, 4, 5), (3.0, 0.8, 0.7))
    array = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    on_stack = lay_on(LabelMap.of(array, grid), stack)
    np.testing.assert_array_equal(on_stack.array[:3], array)
    assert not on_stack.array[3].any()
    part = _stack((6.0, 0.0))
    on_grid = lay_on(LabelMap.of(array[:2], part), grid)
    np.testing.assert_array_equal(on_grid.array[2], array[0])
    np.testing.assert_array_equal(on_grid.array[0], array[1])


def test_a_slice_that_is_none_of_the_stack_is_refused() -> None:
    stack = _stack((0.0, 3.0, 7.0))
    with pytest.raises(GeometryMismatch, match=r"none of the image.s: the nearest one is 0\.5 mm"):
        placement_of(slice_geometry(_stack((3.5,)), 0), stack)
    with pytest.raises(GeometryMismatch, match="4 x 4 pixels are not"):
        placement_of(Geometry.from_spacing((1, 4, 4), (1, 0.8, 0.7)), stack)


def test_a_slice_as_a_grid_is_as_thick_as_the_slice() -> None:
    grid = slice_geometry(_stack((3.0, 9.0)), 1)
    assert grid.shape_kji == (1, 4, 5)
    assert grid.spacing_kji_mm == pytest.approx((2.0, 0.8, 0.7))
    np.testing.assert_allclose(grid.index_to_lps((0, 0, 0)), (0, 0, 9.0))
    np.testing.assert_allclose(grid.directions_lps[:, 0], (0, 0, 1))
