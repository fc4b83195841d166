"""The simulated readers draw with the real brush."""

from __future__ import annotations

import numpy as np
import pytest

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.demo.readers import READERS, Reader, correct
from segdesk.edit.editor import Editor

_GRID = Geometry.from_spacing((30, 48, 30), (1.0, 1.0, 1.0))


def _draft() -> LabelMap:
    """A long ellipsoid along j; its front half is label 1, its back half label 2."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in _GRID.shape_kji), indexing="ij")
    inside = ((k - 15) / 8) ** 2 + ((j - 24) / 20) ** 2 + ((i - 15) / 7) ** 2 <= 1
    return LabelMap.of(np.where(inside, np.where(j >= 24, 1, 2), 0), _GRID)


def _corrected(reader: Reader) -> tuple[LabelMap, Editor, int]:
    labels, editor = _draft(), Editor()
    editor.attach(labels)
    return labels, editor, correct(reader, editor)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_reader_stays_close_to_the_draft_but_not_on_it(reader: Reader) -> None:
    labels, _, strokes = _corrected(reader)
    a, b = labels.array > 0, _draft().array > 0
    dice = 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))
    assert 0.85 < dice <= 1.0
    assert strokes >= 2
    assert not np.array_equal(labels.array, _draft().array)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_every_stroke_can_be_undone(reader: Reader) -> None:
    labels, editor, strokes = _corrected(reader)
    for _ in range(strokes):
        assert editor.can_undo.value
        editor.undo()
    np.testing.assert_array_equal(labels.array, _draft().array)
    assert not editor.can_undo.value


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_reader_does_the_same_every_time(reader: Reader) -> None:
    np.testing.assert_array_equal(_corrected(reader)[0].array, _corrected(reader)[0].array)


def test_readers_say_that_they_are_simulated() -> None:
    assert all("simulated" in reader.name for reader in READERS)


def test_a_generous_hand_only_adds() -> None:
    labels, _, _ = _corrected(Reader("x", 1, boundary_mm=1.2, boundary_share=1.0))
    before = _draft().array
    assert np.array_equal(labels.array[before > 0], before[before > 0])
    assert np.count_nonzero(labels.array) > np.count_nonzero(before)


def test_a_missed_end_lies_at_the_back() -> None:
    labels, _, _ = _corrected(Reader("x", 1, missed_end_mm=4.0))
    first = int(np.argwhere(_draft().array > 0)[:, 1].min())
    assert not labels.array[:, : first + 4].any()
    np.testing.assert_array_equal(labels.array[:, first + 4 :], _draft().array[:, first + 4 :])


def test_a_shifted_border_changes_names_and_no_outline() -> None:
    labels, _, _ = _corrected(Reader("x", 1, border_shift_mm=3.0))
    np.testing.assert_array_equal(labels.array > 0, _draft().array > 0)
    assert (labels.array[:, 24:27][labels.array[:, 24:27] > 0] == 2).all()
    assert (labels.array[:, 27:][labels.array[:, 27:] > 0] == 1).all()


def test_one_label_has_no_border_to_shift() -> None:
    labels = _draft()
    labels.array[labels.array == 2] = 1
    editor = Editor()
    editor.attach(labels)
    assert correct(Reader("x", 1, border_shift_mm=3.0), editor) == 0


def test_an_empty_draft_is_left_empty() -> None:
    editor = Editor()
    editor.attach(LabelMap.empty(_GRID))
    assert all(correct(reader, editor) == 0 for reader in READERS)


def test_without_a_mask_nothing_is_drawn() -> None:
    assert correct(READERS[0], Editor()) == 0
