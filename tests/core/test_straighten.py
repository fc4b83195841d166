from __future__ import annotations

import numpy as np
import pytest

from segdesk.core.geometry import Geometry
from segdesk.core.resample import Interpolation, resample_array
from segdesk.core.straighten import right_angled
from tests.builders import oblique_geometry, sheared_geometry


def oblique_and_sheared() -> Geometry:
    affine = oblique_geometry((5, 7, 9)).affine_kji_to_lps.copy()
    affine[:3, 0] += 0.4 * affine[:3, 1] - 0.3 * affine[:3, 2]
    return Geometry((5, 7, 9), affine, source="phantom")


def test_a_right_angled_grid_stays_what_it_is() -> None:
    grid = oblique_geometry()
    np.testing.assert_allclose(right_angled(grid).affine_kji_to_lps, grid.affine_kji_to_lps, atol=1e-9)
    assert right_angled(grid).shape_kji == grid.shape_kji


@pytest.mark.parametrize("grid", [sheared_geometry(), oblique_and_sheared()])
def test_the_new_grid_has_right_angles_and_keeps_the_slices(grid: Geometry) -> None:
    straight = right_angled(grid)
    assert straight.shear_cosine < 1e-9
    normal = np.cross(grid.affine_kji_to_lps[:3, 2], grid.affine_kji_to_lps[:3, 1])
    normal /= np.linalg.norm(normal)
    distance_mm = abs(float(grid.affine_kji_to_lps[:3, 0] @ normal))
    assert straight.spacing_kji_mm[0] == pytest.approx(distance_mm)
    assert straight.shape_kji[0] == grid.shape_kji[0]
    assert float(straight.affine_kji_to_lps[:3, 0] @ grid.affine_kji_to_lps[:3, 0]) > 0


@pytest.mark.parametrize("grid", [sheared_geometry(), oblique_and_sheared()])
def test_every_voxel_centre_of_the_source_lies_inside(grid: Geometry) -> None:
    straight = right_angled(grid)
    index = straight.lps_to_index(grid.corners_lps())
    assert index.min() > -1e-6
    assert np.all(index < np.array(straight.shape_kji) - 1 + 1e-6)


def test_the_first_slice_is_met_exactly() -> None:
    grid = sheared_geometry()
    array = np.arange(np.prod(grid.shape_kji), dtype=np.float32).reshape(grid.shape_kji)
    straight = right_angled(grid)
    moved = resample_array(array, grid, straight, Interpolation.LINEAR, fill=-1)
    first = moved[0]
    np.testing.assert_allclose(first[first >= 0].reshape(grid.shape_kji[1:]), array[0], atol=1e-3)
