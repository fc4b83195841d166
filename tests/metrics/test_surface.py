from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from segdesk.core.geometry import Geometry
from segdesk.errors import InvalidMask, ShapeMismatch
from segdesk.metrics import surface_distances
from segdesk.metrics.surface import surface_of
from tests.builders import ball_mask, oblique_geometry, sheared_geometry

SHAPE = (14, 40, 44)


def blobs(geometry, radius_mm=9.0):
    first = ball_mask(SHAPE, (6, 19, 20), radius_mm, geometry)
    second = ball_mask(SHAPE, (7, 21, 24), radius_mm * 0.9, geometry)
    return first, second


def brute_force_mm(origin, target, geometry):
    """Nearest distances by the full matrix of pairs: slow, and without a line of ours but the affine."""
    a, b = (np.argwhere(mask) @ geometry.affine_kji_to_lps[:3, :3].T for mask in (origin, target))
    return np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1)).min(1)


def erosion_surface(mask, axes=(0, 1, 2)):
    cross = np.zeros((3, 3, 3), bool)
    cross[1, 1, 1] = True
    for axis in axes:
        index = [1, 1, 1]
        for index[axis] in (0, 2):
            cross[tuple(index)] = True
    return mask & ~ndimage.binary_erosion(mask, cross)


@pytest.mark.parametrize(
    "geometry",
    [Geometry.from_spacing(SHAPE, (3.0, 0.8, 0.7)), oblique_geometry(SHAPE), sheared_geometry(SHAPE)],
    ids=["anisotropic", "oblique", "sheared"],
)
def test_distances_equal_brute_force_on_any_grid(geometry):
    first, second = blobs(geometry)
    distances = surface_distances(first, second, geometry)
    s_first, s_second = erosion_surface(first), erosion_surface(second)
    there, back = brute_force_mm(s_first, s_second, geometry), brute_force_mm(s_second, s_first, geometry)
    np.testing.assert_allclose(np.sort(distances.to_candidate_mm), np.sort(there), atol=1e-9)
    np.testing.assert_allclose(np.sort(distances.to_reference_mm), np.sort(back), atol=1e-9)
    assert distances.hd95_mm == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))
    assert distances.assd_mm == pytest.approx(np.concatenate([there, back]).mean())
    expected = (np.sum(there <= 1.5) + np.sum(back <= 1.5)) / (there.size + back.size)
    assert distances.nsd(1.5) == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
def test_hd95_equals_monai_on_an_anisotropic_grid():
    monai_metrics = pytest.importorskip("monai.metrics")
    geometry = Geometry.from_spacing(SHAPE, (3.0, 0.8, 0.7))
    first, second = blobs(geometry)
    monai = monai_metrics.compute_hausdorff_distance(
        first[None, None], second[None, None], include_background=True, percentile=95, spacing=[3.0, 0.8, 0.7]
    ).item()
    assert surface_distances(first, second, geometry).hd95_mm == pytest.approx(monai, abs=1e-5)


def test_turning_the_grid_changes_no_distance():
    upright = Geometry.from_spacing(SHAPE, (3.0, 0.7, 1.1))
    turned = oblique_geometry(SHAPE)
    first, second = blobs(upright)
    a, b = surface_distances(first, second, upright), surface_distances(first, second, turned)
    assert a.hd95_mm == pytest.approx(b.hd95_mm)
    assert a.assd_mm == pytest.approx(b.assd_mm)
    assert a.nsd(0.7) == b.nsd(0.7)


def test_equal_masks_are_0_mm_apart():
    geometry = sheared_geometry(SHAPE)
    first, _ = blobs(geometry)
    distances = surface_distances(first, first, geometry)
    assert (distances.hd95_mm, distances.assd_mm, distances.nsd(0.0)) == (0.0, 0.0, 1.0)


def test_one_voxel_against_one_voxel_is_their_distance():
    geometry = sheared_geometry((4, 5, 6))
    first, second = np.zeros((4, 5, 6), bool), np.zeros((4, 5, 6), bool)
    first[0, 0, 0] = second[3, 4, 5] = True
    distance_mm = np.linalg.norm(geometry.affine_kji_to_lps[:3, :3] @ (3, 4, 5))
    assert surface_distances(first, second, geometry).hd95_mm == pytest.approx(distance_mm)
    assert surface_distances(first, second, geometry).assd_mm == pytest.approx(distance_mm)


def test_a_mask_that_fills_the_grid_has_its_border_as_surface():
    mask = np.ones((5, 6, 7), bool)
    surface = surface_of(mask, Geometry.from_spacing((5, 6, 7)))
    assert surface.sum() == 5 * 6 * 7 - 3 * 4 * 5


def test_one_slice_of_a_volume_is_surface_throughout():
    mask = np.zeros((9, 6, 7), bool)
    mask[4, 1:5, 1:6] = True
    np.testing.assert_array_equal(surface_of(mask[4:5], Geometry.from_spacing((9, 6, 7))), mask[4:5])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_image_has_four_neighbours_a_pixel_whatever_its_axis(axis):
    mask = np.expand_dims(np.ones((6, 8), bool), axis)
    surface = surface_of(mask, Geometry.from_spacing(mask.shape))
    np.testing.assert_array_equal(surface, erosion_surface(mask, [a for a in range(3) if a != axis]))
    assert surface.sum() == 6 * 8 - 4 * 6


def test_a_grid_of_one_voxel_is_all_surface():
    assert surface_of(np.ones((1, 1, 1), bool), Geometry.from_spacing((1, 1, 1))).all()


def test_the_tolerance_includes_a_distance_of_exactly_its_size_also_from_float32_affines():
    spacing = float(np.float32(0.7)) * 1.0000001
    geometry = Geometry.from_spacing((1, 1, 10), (1.0, 1.0, spacing))
    first, second = np.zeros((1, 1, 10), bool), np.zeros((1, 1, 10), bool)
    first[0, 0, 3] = second[0, 0, 4] = True
    assert surface_distances(first, second, geometry).nsd(0.7) == 1.0
    assert surface_distances(first, second, geometry).nsd(0.69) == 0.0


def test_hd95_is_the_larger_directed_percentile_and_not_the_pooled_one():
    geometry = Geometry.from_spacing((1, 1, 100))
    first, second = np.zeros((1, 1, 100), bool), np.zeros((1, 1, 100), bool)
    first[0, 0, 0] = True
    second[0, 0, [0, 10, 20, 30, 40]] = True
    assert surface_distances(first, second, geometry).hd95_mm == pytest.approx(38.0)


def test_a_part_cut_out_by_a_box_gives_the_same_distances():
    geometry = oblique_geometry(SHAPE)
    first, second = blobs(geometry)
    whole = surface_distances(first, second, geometry)
    part = surface_distances(first[1:13, 2:38], second[1:13, 2:38], geometry)
    np.testing.assert_array_equal(whole.to_candidate_mm, part.to_candidate_mm)


def test_an_empty_mask_is_refused_and_never_0_mm():
    geometry = Geometry.from_spacing((2, 3, 4))
    full, empty = np.ones((2, 3, 4), bool), np.zeros((2, 3, 4), bool)
    for pair in ((full, empty), (empty, full)):
        with pytest.raises(InvalidMask, match="empty"):
            surface_distances(*pair, geometry)


def test_different_shapes_are_refused():
    with pytest.raises(ShapeMismatch):
        surface_distances(np.ones((2, 3, 4), bool), np.ones((2, 3, 5), bool), Geometry.from_spacing((2, 3, 4)))
