import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdesk.core.box import Box
from segdesk.errors import UsageError
from segdesk.session.roi import parse_roi, roi_text

INDEX = st.tuples(*(st.integers(0, 9999) for _ in range(3)))


@given(INDEX, INDEX)
def test_a_region_comes_back_from_its_text(start, stop):
    assert parse_roi(roi_text(Box(start, stop))) == Box(start, stop)


@pytest.mark.parametrize("text", ["", "1:2,3:4", "1:2,3:4,5", "a:b,c:d,e:f", "1:2:3,4:5,6:7", "1:2,3:4,5:6,7:8"])
def test_anything_else_is_refused(text):
    with pytest.raises(UsageError, match="k0:k1"):
        parse_roi(text)
