import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.edit.tools.brush import Brush, swept_region
from tests.builders import oblique_geometry, sheared_geometry

SHAPE = (9, 20, 22)
GRIDS = {
    "isotropic": Geometry.from_spacing(SHAPE),
    "anisotropic": Geometry.from_spacing(SHAPE, (3.0, 0.8, 0.5)),
    "oblique": oblique_geometry(SHAPE),
    "sheared": sheared_geometry(SHAPE),
}


def _painted(geometry, start, stop, brush):
    whole = np.zeros(geometry.shape_kji, np.bool_)
    region = swept_region(geometry, start, stop, brush)
    if region is not None:
        whole[region.box.slices] = region.mask
    return whole


def _distance_mm(geometry, start, stop):
    """Distance of every voxel centre from the segment, by plain vector geometry in LPS."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in geometry.shape_kji), indexing="ij"), axis=-1)
    points, a, b = geometry.index_to_lps(index), geometry.index_to_lps(start), geometry.index_to_lps(stop)
    along = b - a
    length = along @ along
    t = np.clip((points - a) @ along / length, 0, 1)[..., None] if length > 0 else np.zeros((1,))
    return np.linalg.norm(points - a - t * along, axis=-1)


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("radius_mm", [1.7, 4.2])
def test_a_disc_covers_what_lies_within_its_radius_in_its_slice(name, axis, radius_mm):
    geometry = GRIDS[name]
    centre = (4.0, 9.0, 11.0)
    expected = _distance_mm(geometry, centre, centre) <= radius_mm + 1e-9
    others = np.arange(geometry.shape_kji[axis]) != centre[axis]
    expected[tuple(others if a == axis else slice(None) for a in range(3))] = False
    np.testing.assert_array_equal(_painted(geometry, centre, centre, Brush(radius_mm, axis)), expected)


@pytest.mark.parametrize("name", GRIDS)
def test_a_ball_covers_what_lies_within_its_radius(name):
    geometry = GRIDS[name]
    centre = (4.0, 9.0, 11.0)
    expected = _distance_mm(geometry, centre, centre) <= 4.1
    np.testing.assert_array_equal(_painted(geometry, centre, centre, Brush(4.1)), expected)


@pytest.mark.parametrize("name", GRIDS)
def test_a_fast_drag_covers_everything_within_the_radius_of_the_way(name):
    geometry = GRIDS[name]
    start, stop = (4.0, 3.2, 4.0), (4.0, 15.4, 17.7)
    expected = _distance_mm(geometry, start, stop) <= 2.5
    expected[np.arange(SHAPE[0]) != 4] = False
    painted = _painted(geometry, start, stop, Brush(2.5, 0))
    assert (painted | ~expected).all()
    # What is more is only the voxels the cursor itself passed through.
    assert (painted & ~expected).sum() <= 2 * np.ceil(np.abs(np.subtract(stop, start)).max() * 2)


@given(
    start=st.tuples(*(st.floats(-5, 25) for _ in range(3))),
    stop=st.tuples(*(st.floats(-5, 25) for _ in range(3))),
    axis=st.sampled_from([None, 0, 1, 2]),
)
def test_a_brush_thinner_than_a_voxel_leaves_no_gap(start, stop, axis):
    geometry = GRIDS["anisotropic"]
    painted = _painted(geometry, start, stop, Brush(0.1, axis))
    _, parts = ndimage.label(painted, np.ones((3, 3, 3)))
    assert parts <= 1


def test_the_voxel_under_the_cursor_is_always_covered():
    painted = _painted(GRIDS["anisotropic"], (4.4, 9.4, 11.4), (4.4, 9.4, 11.4), Brush(0.1, 0))
    assert np.argwhere(painted).tolist() == [[4, 9, 11]]


def test_a_brush_at_the_border_is_clipped():
    region = swept_region(GRIDS["isotropic"], (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), Brush(3.0, 0))
    assert region.box.start_kji == (0, 0, 0)
    assert region.box.stop_kji == (1, 4, 4)


def test_a_drag_that_leaves_the_grid_covers_the_part_inside():
    painted = _painted(GRIDS["isotropic"], (4.0, 10.0, 10.0), (4.0, 10.0, 999.0), Brush(1.0, 0))
    assert painted[4, 10, 10:].all()


@pytest.mark.parametrize("axis", [None, 0, 1, 2])
def test_a_brush_outside_the_grid_covers_nothing(axis):
    assert swept_region(GRIDS["isotropic"], (-50.0, 0.0, 0.0), (-50.0, 0.0, 0.0), Brush(3.0, axis)) is None


def test_a_brush_whose_box_touches_the_grid_but_whose_ball_does_not_covers_nothing():
    corner = (-2.0, -2.0, -2.0)
    assert swept_region(GRIDS["isotropic"], corner, corner, Brush(3.0)) is None


def test_on_a_stack_the_slice_under_the_cursor_sets_the_size():
    affines = np.zeros((3, 4, 3))
    affines[:, 3, 2] = 1
    for k, spacing in enumerate((1.0, 2.0, 1.0)):
        affines[k, 0, 1] = affines[k, 1, 0] = spacing
        affines[k, 2, 2] = 10.0 * k
    stack = SliceStackGeometry((3, 21, 21), affines, np.array([4.0, 4.0, 4.0]))
    fine = _painted(stack, (0.0, 10.0, 10.0), (0.0, 10.0, 10.0), Brush(4.0, 0))
    coarse = _painted(stack, (1.0, 10.0, 10.0), (1.0, 10.0, 10.0), Brush(4.0, 0))
    assert fine[0, 10].sum() == 9
    assert coarse[1, 10].sum() == 5
