import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from segdesk.core.box import Box
from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.edit.history import EditHistory
from segdesk.edit.paint import DrawOver, paint
from segdesk.edit.region import Region
from segdesk.errors import EditError

SHAPE = (2, 4, 4)


def _dab(labels, k, j, i, value):
    box = Box((k, j, i), (k + 1, min(j + 2, 4), min(i + 2, 4)))
    return paint(labels, Region(box, np.ones(box.shape_kji, np.bool_)), value, DrawOver())


def _stroke(history, labels, *dabs, name="Brush"):
    history.begin(name)
    for dab in dabs:
        history.add(_dab(labels, *dab))
    return history.commit()


@pytest.fixture
def labels():
    return LabelMap.empty(Geometry.from_spacing(SHAPE))


class HistoryAgainstCopies(RuleBasedStateMachine):
    """The history behaves like a list of full copies."""

    def __init__(self):
        super().__init__()
        self.labels = LabelMap.empty(Geometry.from_spacing(SHAPE))
        self.history = EditHistory()
        self.past = [self.labels.array.copy()]
        self.future = []

    @rule(dabs=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))))
    def stroke(self, dabs):
        if _stroke(self.history, self.labels, *dabs) is not None:
            self.past.append(self.labels.array.copy())
            self.future.clear()

    @rule(dabs=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))))
    def abort(self, dabs):
        self.history.begin("Brush")
        for dab in dabs:
            self.history.add(_dab(self.labels, *dab))
        self.history.abort(self.labels)

    @rule()
    def undo(self):
        if self.history.undo(self.labels) is not None:
            self.future.append(self.past.pop())

    @rule()
    def redo(self):
        if self.history.redo(self.labels) is not None:
            self.past.append(self.future.pop())

    @invariant()
    def labels_are_those_of_the_copies(self):
        np.testing.assert_array_equal(self.labels.array, self.past[-1])
        assert self.history.step_count == len(self.past) - 1
        assert self.history.redo_count == len(self.future)


TestHistoryAgainstCopies = HistoryAgainstCopies.TestCase
TestHistoryAgainstCopies.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


def test_one_stroke_of_many_dabs_is_one_step(labels):
    history = EditHistory()
    _stroke(history, labels, (0, 0, 0, 1), (0, 1, 1, 2), (1, 2, 2, 1), name="Brush: liver")
    assert history.step_count == 1
    assert history.undo_name == "Brush: liver"
    history.undo(labels)
    assert not labels.array.any()
    assert (history.undo_name, history.redo_name) == ("", "Brush: liver")


def test_a_stroke_that_changes_nothing_leaves_no_step(labels):
    history = EditHistory()
    assert _stroke(history, labels, (0, 0, 0, 0)) is None
    assert history.step_count == 0


def test_a_new_stroke_forgets_what_was_undone(labels):
    history = EditHistory()
    _stroke(history, labels, (0, 0, 0, 1))
    history.undo(labels)
    _stroke(history, labels, (1, 0, 0, 2))
    assert history.redo(labels) is None


def test_undoing_or_redoing_nothing_is_none(labels):
    history = EditHistory()
    assert history.undo(labels) is None
    assert history.redo(labels) is None
    assert history.abort(labels) is None


def test_the_box_of_a_step_covers_all_its_dabs(labels):
    step = _stroke(EditHistory(), labels, (0, 0, 0, 1), (1, 2, 2, 1))
    assert step.box == Box((0, 0, 0), (2, 4, 4))


def test_aborting_returns_what_was_touched(labels):
    history = EditHistory()
    history.begin("Brush")
    history.add(_dab(labels, 0, 0, 0, 1))
    history.add(_dab(labels, 1, 1, 1, 1))
    assert history.abort(labels) == Box((0, 0, 0), (2, 3, 3))
    assert not history.is_open


def test_the_oldest_steps_go_when_memory_is_full_but_a_minimum_stays(labels):
    history = EditHistory(max_bytes=1, min_steps=3)
    for number in range(10):
        _stroke(history, labels, (0, 0, 0, 1 + number % 2))
    assert history.step_count == 3
    assert history.nbytes == sum(step.nbytes for step in history._done)


def test_steps_stay_while_there_is_memory(labels):
    history = EditHistory(max_bytes=1 << 20, min_steps=1)
    for number in range(10):
        _stroke(history, labels, (0, 0, 0, 1 + number % 2))
    assert history.step_count == 10


def test_clearing_forgets_everything(labels):
    history = EditHistory()
    _stroke(history, labels, (0, 0, 0, 1))
    history.clear()
    assert (history.step_count, history.nbytes, history.undo(labels)) == (0, 0, None)


@pytest.mark.parametrize("action", ["begin", "undo", "redo"])
def test_nothing_else_happens_while_a_stroke_is_open(labels, action):
    history = EditHistory()
    history.begin("Brush")
    with pytest.raises(EditError, match="open"):
        getattr(history, action)("again" if action == "begin" else labels)


def test_drawing_and_committing_need_an_open_stroke():
    history = EditHistory()
    with pytest.raises(EditError):
        history.add(None)
    with pytest.raises(EditError):
        history.commit()
