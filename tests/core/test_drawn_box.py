import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from segdesk.core.box import Box
from segdesk.core.labels import drawn_box


@given(hnp.arrays(st.sampled_from([np.uint8, np.uint16]), (3, 4, 5), elements=st.sampled_from([0, 0, 0, 0, 7])))
def test_the_box_is_the_tight_one_around_the_mask(labels):
    assert drawn_box(labels) == Box.around(labels != 0)


@pytest.mark.parametrize("shape", [(0, 4, 5), (3, 0, 5), (3, 4, 0)])
def test_an_array_without_voxels_has_no_box(shape):
    assert drawn_box(np.zeros(shape, np.uint8)) is None
