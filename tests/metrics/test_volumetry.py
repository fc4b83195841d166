from __future__ import annotations

import numpy as np
import pytest

from segdesk.core.geometry import SliceStackGeometry
from segdesk.core.labels import LabelMap, LabelTable
from segdesk.metrics import volumes_mm3
from tests.builders import ball, oblique_geometry, sheared_geometry


def stack(shape, thickness_k_mm, spacing_ji_mm=(0.5, 2.0)):
    affines = np.zeros((shape[0], 4, 3))
    affines[:, 1, 0], affines[:, 0, 1] = spacing_ji_mm
    affines[:, 2, 2] = np.cumsum(thickness_k_mm)
    affines[:, 3, 2] = 1
    return SliceStackGeometry(shape, affines, np.array(thickness_k_mm))


def test_a_ball_has_nearly_the_volume_of_a_ball():
    assert volumes_mm3(ball(radius_mm=12.0, spacing_kji_mm=(1.0, 0.8, 0.8)))[1] == pytest.approx(
        4 / 3 * np.pi * 12**3, rel=0.01
    )


@pytest.mark.parametrize(("geometry", "voxel_mm3"), [(oblique_geometry(), 3.0 * 0.7 * 1.1), (sheared_geometry(), 3.2)])
def test_voxels_count_by_the_determinant_of_the_affine(geometry, voxel_mm3):
    array = np.zeros(geometry.shape_kji, np.uint8)
    array[1:3, 2:5, 4:8], array[0, 0, 0] = 2, 7
    volumes = volumes_mm3(LabelMap.of(array, geometry))
    assert volumes == {2: pytest.approx(24 * voxel_mm3), 7: pytest.approx(voxel_mm3)}


def test_every_slice_of_an_irregular_stack_counts_with_its_own_thickness():
    array = np.zeros((3, 4, 5), np.uint8)
    array[0, :2], array[2, 0, 0] = 1, 1
    volumes = volumes_mm3(LabelMap.of(array, stack((3, 4, 5), [5.0, 4.0, 2.5])))
    assert volumes == {1: pytest.approx(10 * 5.0 + 2.5)}


def test_a_label_in_two_layers_counts_each_voxel_once():
    geometry = oblique_geometry((2, 3, 4))
    first, second = np.zeros((2, 3, 4), np.uint8), np.zeros((2, 3, 4), np.uint8)
    first[0], second[0, 0], second[1, 1, 1] = 1, 1, 1
    volumes = volumes_mm3(LabelMap((first, second), geometry, LabelTable.for_values([1])))
    assert volumes == {1: pytest.approx(13 * geometry.voxel_volume_mm3)}


def test_an_empty_map_has_no_volumes():
    assert volumes_mm3(LabelMap.empty(oblique_geometry())) == {}
    assert volumes_mm3(LabelMap.empty(stack((2, 3, 4), [1.0, 1.0]))) == {}
