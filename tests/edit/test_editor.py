import numpy as np
import pytest

from segdesk.core.box import Box
from segdesk.core.geometry import Geometry
from segdesk.core.labels import Label, LabelMap, LabelTable
from segdesk.edit.editor import Editor
from segdesk.edit.paint import DrawOver, Overwrite
from segdesk.errors import EditError

SHAPE = (5, 12, 12)
POINT = (2.0, 6.0, 6.0)


@pytest.fixture
def editor():
    editor = Editor()
    table = LabelTable([Label(1, "liver", (1, 2, 3)), Label(2, "spleen", (4, 5, 6))])
    editor.attach(LabelMap.empty(Geometry.from_spacing(SHAPE), table))
    editor.brush_radius_mm.value = 2.0
    return editor


def _stroke(editor, *points, erase=False, axis=0):
    editor.begin_stroke("Eraser" if erase else "Brush")
    for start, stop in zip((points[0], *points[:-1]), points, strict=True):
        editor.paint(start, stop, axis, erase=erase)
    return editor.commit_stroke()


def test_a_drag_leaving_the_volume_is_one_undo_step(editor):
    assert _stroke(editor, (2.0, 6.0, 6.0), (2.0, 6.0, 9.0), (2.0, 6.0, 999.0))
    assert editor.history.step_count == 1
    assert editor.labels.array[2, 6, 6:].all()
    editor.undo()
    assert not editor.labels.array.any()


def test_undo_and_redo_follow_for_the_menu(editor):
    _stroke(editor, POINT)
    assert (editor.can_undo.value, editor.undo_name.value) == (True, "Brush: liver")
    editor.undo()
    assert (editor.can_undo.value, editor.can_redo.value, editor.redo_name.value) == (False, True, "Brush: liver")
    editor.redo()
    assert (editor.can_undo.value, editor.can_redo.value) == (True, False)


def test_changes_are_announced_with_their_box(editor):
    boxes, steps = [], []
    editor.labels_changed.connect(boxes.append)
    editor.edited.connect(steps.append)
    _stroke(editor, POINT)
    editor.undo()
    editor.redo()
    assert boxes == [Box((2, 4, 4), (3, 9, 9))] * 3
    assert steps == ["Brush: liver"] * 3


def test_undoing_nothing_is_silent(editor):
    editor.edited.connect(lambda name: pytest.fail("nothing was edited"))
    editor.undo()
    editor.redo()


def test_a_stroke_that_changes_nothing_is_no_step(editor):
    assert not _stroke(editor, (-90.0, 0.0, 0.0))
    assert not editor.can_undo.value


def test_escape_restores_the_voxels(editor):
    boxes = []
    editor.begin_stroke()
    assert editor.is_stroking
    editor.paint(POINT, POINT, 0)
    editor.labels_changed.connect(boxes.append)
    editor.abort_stroke()
    assert not editor.labels.array.any()
    assert len(boxes) == 1
    assert not editor.is_stroking


def test_aborting_without_a_stroke_does_nothing(editor):
    editor.abort_stroke()
    assert not editor.can_undo.value


def test_a_disc_stays_in_its_slice_and_a_ball_does_not(editor):
    _stroke(editor, POINT)
    assert editor.labels.array.any(axis=(1, 2)).tolist() == [False, False, True, False, False]
    editor.undo()
    editor.brush_is_3d.value = True
    _stroke(editor, POINT)
    assert editor.labels.array.any(axis=(1, 2)).tolist() == [True] * 5


def test_the_eraser_takes_only_the_active_label(editor):
    _stroke(editor, POINT)
    editor.active_value.value = 2
    _stroke(editor, POINT, erase=True)
    assert editor.labels.array.any()
    editor.active_value.value = 1
    _stroke(editor, POINT, erase=True)
    assert not editor.labels.array.any()


def test_the_eraser_takes_any_label_when_told_to_but_no_locked_one(editor):
    _stroke(editor, POINT)
    editor.active_value.value = 2
    editor.erases_any_label.value = True
    editor.locked.value = frozenset({1})
    _stroke(editor, POINT, erase=True)
    assert editor.labels.array.any()
    editor.locked.value = frozenset()
    _stroke(editor, POINT, erase=True)
    assert not editor.labels.array.any()


def test_the_protection_rule_holds_for_the_brush(editor):
    _stroke(editor, POINT)
    before = editor.labels.array.copy()
    editor.active_value.value = 2
    editor.draw_over.value = DrawOver(Overwrite.BACKGROUND_ONLY)
    editor.brush_radius_mm.value = 4.0
    _stroke(editor, POINT)
    np.testing.assert_array_equal(editor.labels.array == 1, before == 1)
    assert (editor.labels.array == 2).any()


def test_accepted_labels_are_one_undoable_edit(editor):
    box = Box((1, 1, 1), (3, 3, 3))
    delta = editor.apply_labels("Accept model", np.full((2, 2, 2), 2, np.uint8), box)
    assert delta.box == box
    assert editor.undo_name.value == "Accept model"
    editor.undo()
    assert not editor.labels.array.any()


def test_accepting_what_is_there_already_is_no_step(editor):
    assert editor.apply_labels("Accept", np.zeros((1, 1, 1), np.uint8), Box((0, 0, 0), (1, 1, 1))) is None
    assert not editor.can_undo.value


def test_a_refused_acceptance_leaves_no_open_stroke(editor):
    with pytest.raises(EditError):
        editor.apply_labels("Accept", np.ones((1, 1, 2), np.uint8), Box((0, 0, 0), (1, 1, 1)))
    assert not editor.is_stroking


def test_drawing_needs_an_open_stroke_and_a_case(editor):
    with pytest.raises(EditError, match="stroke"):
        editor.paint(POINT, POINT, 0)
    editor.attach(None)
    with pytest.raises(EditError, match="case"):
        editor.begin_stroke()
    assert editor.labels is None


def test_another_map_starts_a_new_history(editor):
    _stroke(editor, POINT)
    editor.attach(LabelMap.empty(Geometry.from_spacing(SHAPE)))
    assert not editor.can_undo.value


def test_a_snapshot_leaves_the_stroke_in_progress_out(editor):
    _stroke(editor, POINT)
    before = editor.labels.array.copy()
    editor.begin_stroke()
    editor.paint((0.0, 2.0, 2.0), (0.0, 2.0, 2.0), 0)
    editor.paint((0.0, 2.0, 2.0), (0.0, 2.0, 8.0), 0)
    during = editor.labels.array.copy()
    np.testing.assert_array_equal(editor.snapshot().array, before)
    np.testing.assert_array_equal(editor.labels.array, during)
    editor.abort_stroke()
    np.testing.assert_array_equal(editor.labels.array, before)


def test_a_label_above_255_makes_room_for_itself_and_keeps_the_rest(editor):
    _stroke(editor, POINT)
    narrow = editor.labels.array.copy()
    editor.active_value.value = 300
    _stroke(editor, (0.0, 2.0, 2.0))
    assert editor.labels.array[0, 2, 2] == 300
    assert editor.labels.array[2, 6, 6] == 1
    editor.undo()
    np.testing.assert_array_equal(editor.labels.array, narrow)
    editor.undo()
    assert not editor.labels.array.any()


def test_accepted_labels_above_255_make_room_too(editor):
    new = np.array([[[0, 1000]]], np.uint16)
    editor.apply_labels("Accept", new, Box((1, 1, 1), (2, 2, 3)))
    assert editor.labels.array[1, 1, 2] == 1000
    editor.undo()
    assert not editor.labels.array.any()


def test_wide_arrays_of_small_labels_leave_the_mask_narrow(editor):
    editor.apply_labels("Accept", np.array([[[3]]], np.uint16), Box((1, 1, 1), (2, 2, 2)))
    assert editor.labels.array.dtype == np.uint8
