"""Slices lie on the screen as a radiologist expects, whatever the file's axes are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.core.reslice import Plane, SlicePlane, planes_of
from segdesk.errors import ShapeMismatch
from tests.builders import oblique_geometry, sheared_geometry

_ORIENTATIONS = [
    (axes, signs) for axes in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)
]
_MARKERS_LPS = {"L": (20.0, 0, 0), "A": (0, -25.0, 0), "S": (0, 0, 30.0)}
"""One bright voxel well to the left, one anterior, one superior of the centre."""


def _grid(axes: tuple[int, ...], signs: tuple[int, ...]) -> Geometry:
    """A grid of 40 x 50 x 60 mm around the origin whose index axes run along the given patient axes."""
    spacing_by_lps, length_by_lps_mm = np.array([1.0, 2.0, 2.5]), np.array([60, 70, 80])
    shape = tuple(int(length_by_lps_mm[a] / spacing_by_lps[a]) + 1 for a in axes)
    affine = np.eye(4)
    affine[:3, :3] = 0
    for column, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        affine[axis, column] = sign * spacing_by_lps[axis]
        affine[axis, 3] -= sign * spacing_by_lps[axis] * (shape[column] - 1) / 2
    return Geometry(shape, affine)


def _screen_place(plane: SlicePlane, grid: Geometry, point_lps: tuple[float, float, float]) -> tuple[float, float]:
    """Return (down, right) in mm from the centre of the screen, by looking for a bright voxel in the cut slice."""
    array = np.zeros(grid.shape_kji, np.uint8)
    index = tuple(int(x) for x in np.rint(grid.lps_to_index(point_lps)))
    array[index] = 1
    (row,), (column,) = np.nonzero(plane.cut(array, index[plane.normal_axis]))
    rows, columns = plane.shape_px
    height, width = plane.pixel_spacing_mm
    return (row - (rows - 1) / 2) * height, (column - (columns - 1) / 2) * width


@pytest.mark.parametrize(("axes", "signs"), _ORIENTATIONS)
def test_each_of_the_48_orientations_is_shown_radiologically(axes: tuple[int, ...], signs: tuple[int, ...]) -> None:
    grid = _grid(axes, signs)
    axial, sagittal, coronal = planes_of(grid)
    expected = {
        (axial.plane, "L"): (0, 20), (axial.plane, "A"): (-25, 0), (axial.plane, "S"): (0, 0),
        (coronal.plane, "L"): (0, 20), (coronal.plane, "A"): (0, 0), (coronal.plane, "S"): (-30, 0),
        (sagittal.plane, "L"): (0, 0), (sagittal.plane, "A"): (0, -25), (sagittal.plane, "S"): (-30, 0),
    }  # fmt: skip
    for plane in (axial, sagittal, coronal):
        for letter, point in _MARKERS_LPS.items():
            place = _screen_place(plane, grid, point)
            assert place == pytest.approx(expected[plane.plane, letter], abs=1.26), (plane.plane, letter)


@pytest.mark.parametrize(("axes", "signs"), _ORIENTATIONS)
def test_a_step_forward_goes_superior_anterior_or_left(axes: tuple[int, ...], signs: tuple[int, ...]) -> None:
    grid = _grid(axes, signs)
    towards = {Plane.AXIAL: (0, 0, 1), Plane.CORONAL: (0, -1, 0), Plane.SAGITTAL: (1, 0, 0)}
    for plane in planes_of(grid):
        step = np.zeros(3)
        step[plane.normal_axis] = plane.normal_step
        travelled = grid.index_to_lps(step) - grid.index_to_lps((0, 0, 0))
        assert travelled @ towards[plane.plane] > 0


@pytest.mark.parametrize("grid", [oblique_geometry(), sheared_geometry(), _grid((0, 2, 1), (-1, 1, -1))])
@given(row=st.floats(-5, 15), column=st.floats(-5, 15), slice_index=st.integers(0, 5))
def test_pixel_to_index_and_back_is_exact(grid: Geometry, row: float, column: float, slice_index: int) -> None:
    for plane in planes_of(grid):
        index = plane.to_index(row, column, slice_index)
        assert index[plane.normal_axis] == slice_index
        assert plane.to_pixel(index) == pytest.approx((row, column), abs=1e-9)


@pytest.mark.parametrize("grid", [oblique_geometry(), sheared_geometry()])
def test_the_cut_slice_shows_the_voxel_that_the_mapping_names(grid: Geometry) -> None:
    array = np.arange(np.prod(grid.shape_kji)).reshape(grid.shape_kji)
    for plane in planes_of(grid):
        cut = plane.cut(array, 2)
        assert cut.shape == plane.shape_px
        for row, column in np.ndindex(cut.shape):
            index = tuple(int(x) for x in plane.to_index(row, column, 2))
            assert cut[row, column] == array[index]


def test_an_oblique_grid_repeats_no_letter() -> None:
    for plane in planes_of(oblique_geometry()):
        edges = plane.edges
        assert len({edges.left, edges.right, edges.top, edges.bottom}) == 4


def test_letters_of_the_three_planes() -> None:
    axial, sagittal, coronal = planes_of(Geometry.from_spacing((3, 4, 5)))
    assert (axial.edges.left, axial.edges.right, axial.edges.top, axial.edges.bottom) == ("R", "L", "A", "P")
    assert (sagittal.edges.left, sagittal.edges.right, sagittal.edges.top) == ("A", "P", "S")
    assert (coronal.edges.left, coronal.edges.right, coronal.edges.bottom) == ("R", "L", "I")


def test_a_cut_is_a_view_of_the_array() -> None:
    array = np.zeros((3, 4, 5), np.uint8)
    for plane in planes_of(Geometry.from_spacing((3, 4, 5))):
        assert np.shares_memory(plane.cut(array, 1), array)


def test_a_cut_keeps_the_colours_of_an_rgb_array() -> None:
    array = np.arange(3 * 4 * 5 * 3).reshape(3, 4, 5, 3)
    axial = planes_of(Geometry.from_spacing((3, 4, 5)))[0]
    assert np.array_equal(axial.cut(array, 1), array[1])


def test_cutting_an_array_of_another_grid_is_refused() -> None:
    with pytest.raises(ShapeMismatch):
        planes_of(Geometry.from_spacing((3, 4, 5)))[0].cut(np.zeros((3, 4, 6)), 0)


def test_pixels_carry_the_spacing_of_their_own_axes() -> None:
    axial, sagittal, coronal = planes_of(Geometry.from_spacing((3, 4, 5), (5.0, 0.7, 0.9)))
    assert axial.pixel_spacing_mm == pytest.approx((0.7, 0.9))
    assert sagittal.pixel_spacing_mm == pytest.approx((5.0, 0.7))
    assert coronal.pixel_spacing_mm == pytest.approx((5.0, 0.9))
    assert coronal.size_mm == pytest.approx((15.0, 4.5))
    assert coronal.slice_count == 4


def test_unknown_orientation_is_shown_as_stored_with_question_marks() -> None:
    grid = Geometry((3, 4, 5), np.eye(4), orientation_known=False)
    axial = planes_of(grid)[0]
    array = np.arange(60).reshape(3, 4, 5)
    assert np.array_equal(axial.cut(array, 1), array[1])
    assert {axial.edges.left, axial.edges.right, axial.edges.top, axial.edges.bottom} == {"?"}


def test_a_single_slice_is_shown_in_its_own_plane_only() -> None:
    affine = np.array([[0, 0, 1.0, 0], [1.0, 0, 0, 0], [0, -1.0, 0, 0], [0, 0, 0, 1]])
    (plane,) = planes_of(Geometry((1, 4, 5), affine))
    assert (plane.plane, plane.normal_axis) == (Plane.CORONAL, 0)
    (unknown,) = planes_of(Geometry((1, 4, 5), np.eye(4), orientation_known=False))
    assert unknown.plane is Plane.NATIVE


@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_a_stack_is_shown_in_its_plane_of_acquisition_turned_radiologically(direction: float) -> None:
    affines = np.zeros((3, 4, 3))
    for number, z in enumerate((0.0, 4.0, 11.0)):
        affines[number, :3] = np.array([[0, -0.5, 9.0], [0.5, 0, 2.0], [0, 0, direction * z]])
        affines[number, 3, 2] = 1
    stack = SliceStackGeometry((3, 4, 5), affines, np.array([4.0, 5.5, 7.0]))
    (plane,) = planes_of(stack)
    assert plane.plane is Plane.AXIAL
    assert plane.column_flipped, "columns run to the right of the patient and must be turned"
    assert plane.normal_step == direction
    assert plane.edges.right == "L"
    assert plane.pixel_spacing_mm == pytest.approx((0.5, 0.5))
