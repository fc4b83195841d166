"""Where voxels lie in the patient."""

from __future__ import annotations

import itertools

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st

from segdesk.core.box import Box
from segdesk.core.geometry import Geometry, SliceStackGeometry, direction_letter, nearest_axes
from segdesk.errors import InconsistentSeries
from tests.builders import oblique_geometry, sheared_geometry

_RAS_OF_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_IJK = np.eye(4)[[2, 1, 0, 3]]
_index = st.tuples(*[st.floats(-50, 50, allow_nan=False)] * 3)


def _stack(thickness_mm: tuple[float, ...] = (5.0, 6.0, 4.0), shift_mm: float = 0.0) -> SliceStackGeometry:
    affines = np.zeros((3, 4, 3))
    for k, z in enumerate((0.0, 5.0, 11.0)):
        affines[k] = [[0, 0.5, 1.0], [2.0, 0, -3.0], [0, 0, z + shift_mm], [0, 0, 1.0]]
    return SliceStackGeometry((3, 4, 6), affines, np.array(thickness_mm))


@given(_index)
def test_index_to_lps_and_back_is_the_identity(index: tuple[float, float, float]) -> None:
    for geometry in (oblique_geometry(), sheared_geometry()):
        assert np.allclose(geometry.lps_to_index(geometry.index_to_lps(index)), index, atol=1e-9)


def test_points_agree_with_simpleitk_on_an_oblique_grid() -> None:
    geometry = oblique_geometry()
    image = SimpleITK.Image([10, 8, 6], SimpleITK.sitkUInt8)
    columns = geometry.affine_kji_to_lps[:3, :3][:, ::-1]
    spacing = np.linalg.norm(columns, axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((columns / spacing).ravel().tolist())
    image.SetOrigin(geometry.affine_kji_to_lps[:3, 3].tolist())
    for k, j, i in ((0, 0, 0), (5, 7, 9), (2, 3, 4)):
        assert np.allclose(geometry.index_to_lps((k, j, i)), image.TransformIndexToPhysicalPoint((i, j, k)), atol=1e-9)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", list(itertools.product((1, -1), repeat=3)))
def test_orientation_is_nibabels_for_all_48_permutations(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, order] * np.array(signs) * np.array([3.0, 1.0, 2.0])
    ras_of_ijk = _RAS_OF_LPS @ affine @ np.linalg.inv(_IJK)
    assert Geometry((2, 3, 4), affine).orientation == "".join(nibabel.aff2axcodes(ras_of_ijk))


def test_an_oblique_grid_never_names_an_axis_twice() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        directions, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        assert sorted(axis for axis, _ in nearest_axes(directions)) == [0, 1, 2]


def test_unknown_orientation_says_so() -> None:
    assert Geometry((1, 2, 2), np.eye(4), orientation_known=False).orientation == "unknown"


def test_spacing_volume_and_shear_come_from_the_affine() -> None:
    tilted = sheared_geometry()
    assert tilted.is_sheared
    assert tilted.spacing_kji_mm == pytest.approx((np.hypot(1.0, 5.0), 0.8, 0.8))
    assert tilted.voxel_volume_mm3 == pytest.approx(5.0 * 0.8 * 0.8)
    assert not oblique_geometry().is_sheared


def test_cropping_keeps_every_voxel_where_it_was() -> None:
    geometry = oblique_geometry()
    part = geometry.crop(Box((1, 2, 3), (4, 6, 9)))
    assert part.shape_kji == (3, 4, 6)
    assert np.allclose(part.index_to_lps((0, 1, 2)), geometry.index_to_lps((1, 3, 5)))


def test_matches_by_corners_not_by_shape() -> None:
    geometry = oblique_geometry()
    moved = geometry.affine_kji_to_lps.copy()
    moved[0, 3] += 0.002
    close = geometry.affine_kji_to_lps.copy()
    close[0, 3] += 0.0005
    assert geometry.matches(Geometry(geometry.shape_kji, close))
    assert not geometry.matches(Geometry(geometry.shape_kji, moved))
    assert not geometry.matches(Geometry((6, 8, 11), geometry.affine_kji_to_lps))
    assert not geometry.matches(_stack())


def test_a_tiny_rotation_shows_at_the_far_corner() -> None:
    geometry = Geometry.from_spacing((300, 512, 512), (1.0, 0.7, 0.7))
    turned = geometry.affine_kji_to_lps.copy()
    turned[1, 2] += 5e-6
    assert not geometry.matches(Geometry(geometry.shape_kji, turned))


@pytest.mark.parametrize("entry", [np.nan, np.inf])
def test_an_affine_that_is_not_finite_is_refused(entry: float) -> None:
    affine = np.eye(4)
    affine[0, 0] = entry
    with pytest.raises(InconsistentSeries, match="NaN or infinite"):
        Geometry((1, 2, 2), affine)


def test_a_zero_spacing_is_refused() -> None:
    with pytest.raises(InconsistentSeries, match="singular"):
        Geometry((1, 2, 2), np.diag([0.0, 1.0, 1.0, 1.0]))


def test_the_affine_cannot_be_changed_behind_the_geometry() -> None:
    geometry = oblique_geometry()
    with pytest.raises(ValueError, match="read-only"):
        geometry.affine_kji_to_lps[0, 0] = 5


def test_equality_and_hash_follow_the_grid() -> None:
    one, two = oblique_geometry(), oblique_geometry()
    assert one == two
    assert hash(one) == hash(two)
    assert one != sheared_geometry()
    assert one != "a grid"
    assert one.sha256() == two.sha256() != sheared_geometry().sha256()


def test_negative_zero_does_not_change_the_hash() -> None:
    negative = np.eye(4)
    negative[0, 1] = -0.0
    assert Geometry((1, 1, 1), negative).sha256() == Geometry((1, 1, 1), np.eye(4)).sha256()


@pytest.mark.parametrize(
    ("vector", "letter"),
    [((1, 0, 0), "L"), ((-1, 0.2, 0), "R"), ((0, 1, 0), "P"), ((0, -1, 0.5), "A"), ((0, 0, 2), "S"), ((0, 0, -1), "I")],
)
def test_direction_letters_are_those_of_lps(vector: tuple[float, float, float], letter: str) -> None:
    assert direction_letter(vector) == letter


def test_a_stack_places_each_slice_by_itself() -> None:
    stack = _stack()
    assert np.allclose(stack.index_to_lps((2, 1, 2)), (2.0, -1.0, 11.0))
    assert np.allclose(stack.index_to_lps([(0, 0, 0), (1, 0, 0)]), [(1.0, -3.0, 0.0), (1.0, -3.0, 5.0)])
    assert stack.spacing_ji_mm == (2.0, 0.5)
    assert np.allclose(stack.voxel_volumes_k_mm3, (5.0, 6.0, 4.0))


def test_stacks_match_by_the_places_of_their_slices() -> None:
    assert _stack().matches(_stack())
    assert not _stack().matches(_stack(shift_mm=0.01))
    assert not _stack().matches(oblique_geometry((3, 4, 6)))
    assert _stack().sha256() != _stack(shift_mm=0.01).sha256()


def test_every_slice_of_a_stack_has_a_voxel_volume_of_its_own() -> None:
    affines = np.zeros((2, 4, 3))
    affines[:, 3, 2] = 1
    affines[0, :2, :2] = [[0, 2.0], [0.5, 0]]
    affines[1, :2, :2] = [[1.0, 4.0], [0.5, 0]]
    stack = SliceStackGeometry((2, 3, 4), affines, np.array([5.0, 2.5]))
    np.testing.assert_allclose(stack.voxel_volumes_k_mm3, (5.0, 5.0))
