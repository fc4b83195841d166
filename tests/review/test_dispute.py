from __future__ import annotations

import numpy as np
import pytest

from segdesk.core.box import Box
from segdesk.core.geometry import SliceStackGeometry
from segdesk.review import consensus, disputes
from tests.builders import sheared_geometry
from tests.review.reads import ball_reads, noise_reads, read

SHAPE = (4, 20, 20)


def reads_of(*drawings, geometry=None, shape=SHAPE):
    reads = []
    for drawing in drawings:
        array = np.zeros(shape, np.uint8)
        for box, value in drawing:
            array[box] = value
        reads.append(read(array, geometry))
    return reads


CORE, RIM, SPECK = np.s_[1:3, 5:10, 5:10], np.s_[1:3, 5:10, 10:12], np.s_[3, 18, 18]


def listed(reads, **options):
    return disputes(reads, consensus(reads, **options))


def test_disputes_are_connected_parts_with_the_largest_first():
    reads = reads_of([(CORE, 1), (RIM, 1)], [(CORE, 1), (SPECK, 1)], [(CORE, 1)])
    rim, speck = listed(reads, method="majority")
    assert (rim.id, rim.size_voxels, rim.split, rim.values) == (1, 20, "2-1", (0, 1))
    assert rim.box == Box((1, 5, 10), (3, 10, 12))
    assert rim.supporters == ((0, (1, 2)), (1, (0,)))
    assert rim.undecided_voxels == 0
    assert (speck.id, speck.size_voxels, speck.centre_kji) == (2, 1, (3, 18, 18))
    assert speck.supporters[1] == (1, (1,))


def test_the_volume_is_that_of_the_grid():
    geometry = sheared_geometry(SHAPE)
    (rim,) = listed(reads_of([(CORE, 1), (RIM, 1)], [(CORE, 1)], geometry=geometry))
    assert rim.volume_mm3 == pytest.approx(20 * geometry.voxel_volume_mm3)


def test_an_irregular_stack_counts_every_slice_with_its_own_thickness():
    affines = np.zeros((4, 4, 3))
    affines[:, 1, 0] = affines[:, 0, 1] = affines[:, 3, 2] = 1
    affines[:, 2, 2] = (0, 5, 15, 20)
    stack = SliceStackGeometry(SHAPE, affines, np.array([5.0, 7.5, 2.0, 5.0]))
    (rim,) = listed(reads_of([(CORE, 1), (RIM, 1)], [(CORE, 1)], geometry=stack))
    assert rim.volume_mm3 == pytest.approx(10 * 7.5 + 10 * 2.0)


def test_a_tie_is_two_against_two_and_undecided():
    (part,) = listed(reads_of([(CORE, 1)], [(CORE, 1)], [(CORE, 2)], [(CORE, 2)]), method="majority")
    assert (part.split, part.values) == ("2-2", (1, 2))
    assert part.undecided_voxels == part.size_voxels == 50


def test_three_opinions_are_three_camps():
    (part,) = listed(reads_of([(CORE, 1)], [(CORE, 2)], []), method="majority")
    assert part.split == "1-1-1"
    assert part.values == (0, 1, 2)


def test_the_split_is_that_of_most_voxels():
    reads = reads_of([(CORE, 1), (RIM, 1)], [(CORE, 1)], [], [])
    (part,) = listed(reads, method="majority")
    assert part.split == "2-2"


def test_voxels_that_touch_at_a_corner_are_one_dispute():
    reads = reads_of([(np.s_[0, 0, 0], 1), (np.s_[1, 1, 1], 1)], [])
    assert len(listed(reads)) == 1


def test_the_centre_lies_in_the_dispute_also_when_it_is_a_ring():
    ring = np.zeros((1, 21, 21), np.uint8)
    ring[0, 2:19, 2:19] = 1
    ring[0, 6:15, 6:15] = 0
    reads = [read(ring), read(np.zeros_like(ring))]
    (part,) = listed(reads)
    assert ring[part.centre_kji] == 1


def test_unanimous_reads_have_no_disputes():
    reads = reads_of([(CORE, 1)], [(CORE, 1)])
    assert listed(reads) == ()


@pytest.mark.parametrize("reads", [ball_reads(4), noise_reads(3, 4)], ids=["balls", "noise"])
def test_disputes_cover_exactly_the_disputed_voxels(reads):
    result = consensus(reads)
    found = disputes(reads, result)
    assert sum(each.size_voxels for each in found) == np.count_nonzero(result.disputed.array)
    assert sum(each.undecided_voxels for each in found) == np.count_nonzero(result.undecided.array)
    sizes = [each.size_voxels for each in found]
    assert sizes == sorted(sizes, reverse=True)
    assert [each.id for each in found] == list(range(1, len(found) + 1))
