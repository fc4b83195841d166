"""The middle slice of a case on its way: shown early, and never part of anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from segdesk.core.progress import Cancelled
from segdesk.errors import ReadError
from segdesk.io import SeriesEntry, scan
from segdesk.session import FirstSlice, Session, first_slice
from tests.io.dicom_maker import axial, write_series


@pytest.fixture(autouse=True)
def _all_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_slice, "WORTH_BYTES", 0)


@pytest.fixture
def series(tmp_path: Path) -> Path:
    write_series(tmp_path / "ct", axial(0, 3, 6, 9, 12))
    return tmp_path / "ct"


@pytest.fixture
def shown(session: Session) -> list[FirstSlice]:
    """What was shown; nothing of it is on the desk at that time."""
    seen: list[FirstSlice] = []

    def look(first: FirstSlice) -> None:
        assert session.case is None
        assert session.editor.labels is None
        seen.append(first)

    session.first_slice.connect(look)
    return seen


def test_a_new_image_shows_its_middle_slice_first(session: Session, series: Path, shown: list[FirstSlice]) -> None:
    case = session.open_path(series).run()
    (first,) = shown
    assert (first.name, first.k) == ("ct", 2)
    assert first.grid.matches(case.volume.geometry)
    np.testing.assert_array_equal(first.volume.array, case.volume.array[2:3])


def test_a_stored_case_shows_its_middle_slice_first(session: Session, series: Path, shown: list[FirstSlice]) -> None:
    (record,) = session.add_images([series]).run()
    assert shown == []
    session.open_case(record.id).run()
    assert [first.name for first in shown] == ["ct"]


def test_a_known_image_opened_by_its_path_shows_it_too(session: Session, series: Path, shown: list[FirstSlice]) -> None:
    session.add_images([series]).run()
    session.open_path(series).run()
    assert len(shown) == 1


def test_a_new_image_is_read_once(session: Session, series: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = _count_reads(monkeypatch)
    case = session.open_path(series).run()
    assert len(reads) == 1
    assert session.project.images.read_channels(case.record.id)["image"].array.shape == (5, 5, 6)


def test_an_entry_of_a_scan_is_taken_as_it_is(
    session: Session, series: Path, monkeypatch: pytest.MonkeyPatch, shown: list[FirstSlice]
) -> None:
    (entry,) = scan(series).series

    def no_scan(*args: object) -> object:
        raise AssertionError("the headers were read again")

    monkeypatch.setattr(first_slice, "scan", no_scan)
    session.open_path(series, entry=entry).run()
    assert len(shown) == 1
    assert session.case.volume.array.shape == (5, 5, 6)


def test_small_images_and_gzipped_ones_show_nothing_before_they_are_there(
    session: Session, series: Path, scan: Path, shown: list[FirstSlice], monkeypatch: pytest.MonkeyPatch
) -> None:
    session.open_path(scan).run()
    session.close()
    session.open_path(scan).run()
    monkeypatch.setattr(first_slice, "WORTH_BYTES", 1 << 20)
    session.close()
    session.open_path(series).run()
    assert shown == []


def test_an_irregular_series_is_refused_before_anything_is_shown(
    session: Session, tmp_path: Path, shown: list[FirstSlice]
) -> None:
    write_series(tmp_path / "uneven", axial(0, 2, 3.1, 5))
    with pytest.raises(ReadError):
        session.open_path(tmp_path / "uneven").run()
    assert shown == []
    session.open_path(tmp_path / "uneven", as_stack=True).run()
    assert len(shown) == 1


def test_an_error_after_the_first_slice_leaves_nothing_behind(
    session: Session, series: Path, shown: list[FirstSlice]
) -> None:
    (entry,) = scan(series).series
    entry.paths[0].write_bytes(entry.paths[0].read_bytes()[:-20])
    with pytest.raises(ReadError) as caught:
        session.open_path(series, entry=entry).run()
    assert caught.value.code == "truncated"
    assert len(shown) == 1
    assert (session.case, session.project.cases()) == (None, ())


def test_cancelling_after_the_first_slice_leaves_nothing_behind(
    session: Session, series: Path, shown: list[FirstSlice]
) -> None:
    def report(done: int, total: int, text: str = "") -> None:
        if shown:
            raise Cancelled

    with pytest.raises(Cancelled):
        session.open_path(series).run(report)
    assert len(shown) == 1
    assert (session.case, session.project.cases()) == (None, ())


def test_only_the_first_channel_is_shown(session: Session, tmp_path: Path, shown: list[FirstSlice]) -> None:
    paths = {}
    for name in ("t1", "t2"):
        paths[name] = tmp_path / f"{name}.nii"
        nibabel.save(nibabel.Nifti1Image(np.full((6, 5, 4), len(paths), np.int16), np.eye(4)), paths[name])
    record = session.project.add_case("two", paths)
    session.open_case(record.id).run()
    (first,) = shown
    assert first.volume.array.max() == 1


def _count_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    reads: list[str] = []
    plain: Callable[..., object] = SeriesEntry.read

    def noted(entry: SeriesEntry, *args: object) -> object:
        reads.append(entry.uid)
        return plain(entry, *args)

    monkeypatch.setattr(SeriesEntry, "read", noted)
    return reads
