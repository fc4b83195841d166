"""A series that is no regular volume, opened as slices with a place each."""

from pathlib import Path

import numpy as np
import pytest

from segdesk.core.geometry import SliceStackGeometry
from segdesk.errors import ReadError
from segdesk.session import Session
from tests.io.dicom_maker import write_series

UNEVEN = [(0.0, 0.0, z) for z in (0.0, 2.0, 3.1, 5.0)]


@pytest.fixture
def uneven(session: Session, tmp_path: Path) -> tuple[Session, Path, np.ndarray]:
    return session, tmp_path / "uneven", write_series(tmp_path / "uneven", UNEVEN)


def test_it_opens_as_slices_only_when_asked(uneven: tuple[Session, Path, np.ndarray]) -> None:
    session, folder, pixels = uneven
    with pytest.raises(ReadError) as raised:
        session.open_path(folder).run()
    assert raised.value.code == "irregular_spacing"
    session.open_path(folder, as_stack=True).run()
    np.testing.assert_array_equal(session.case.volume.array, pixels)
    assert isinstance(session.case.labels.geometry, SliceStackGeometry)


def test_it_opens_again_with_its_mask(uneven: tuple[Session, Path, np.ndarray]) -> None:
    session, folder, _ = uneven
    session.open_path(folder, as_stack=True).run()
    session.editor.begin_stroke()
    session.editor.paint((1.0, 2.0, 2.0), (1.0, 2.0, 2.0), 0)
    session.editor.commit_stroke()
    drawn = session.case.labels.array.copy()
    assert drawn.any()
    assert session.save_labels().run().error is None
    session.open_case(session.case.record.id).run()
    np.testing.assert_array_equal(session.case.labels.array, drawn)
