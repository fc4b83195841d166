from dataclasses import replace

import numpy as np
import pytest

from segdesk.core.box import Box
from segdesk.core.events import Change
from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.core.labels import Label, LabelMap, LabelTable
from segdesk.core.provenance import OriginKind
from segdesk.errors import BadModelFolder, EditError, UsageError, WorkerError
from segdesk.session import Candidate, Session, SessionSettings
from segdesk.session.candidate import label_volumes_mm3
from segdesk.store.records import MaskRole
from tests.session.toys import SHAPE_KJI, toy_model, write_scan

ROI = Box((2, 4, 4), (8, 20, 12))


def _inside(roi):
    mask = np.zeros(SHAPE_KJI, np.bool_)
    mask[roi.slices] = True
    return mask


def test_a_prediction_becomes_a_candidate_and_not_yet_an_edit(opened, model):
    candidate = opened.drafts.predict(model).run()
    assert opened.drafts.candidate.value is candidate
    assert candidate.labels.array.any()
    assert not opened.case.labels.array.any()
    assert opened.cases[0].has_draft


def test_the_candidate_is_stored_with_model_weights_and_region(opened, model):
    candidate = opened.drafts.predict(model, roi=ROI).run()
    (record,) = opened.project.masks.of_case(opened.case.record.id, MaskRole.CANDIDATE)
    assert record == candidate.record
    assert (record.origin_kind, record.author) == (OriginKind.MODEL, "toy@1")
    assert record.parameters["roi"] == "2:8,4:20,4:12"
    assert len(record.weights_sha256) == 64


def test_region_and_device_reach_the_predictor(opened, model, predictor):
    opened.drafts.predict(model, roi=Box((2, 4, 4), (99, 20, 12)), device="cpu").run()
    opened.drafts.predict(model).run()
    first, second = predictor.options
    assert (first.roi, first.device) == (Box((2, 4, 4), (10, 20, 12)), "cpu")
    assert second.roi is None


def test_accepting_is_one_undoable_edit(opened, model):
    candidate = opened.drafts.predict(model).run()
    opened.drafts.accept()
    np.testing.assert_array_equal(opened.case.labels.array, candidate.labels.array)
    assert opened.editor.undo_name.value == "Accept toy"
    assert opened.is_dirty.value
    assert opened.drafts.candidate.value is None
    opened.editor.undo()
    assert not opened.case.labels.array.any()


def test_accepting_names_labels_that_had_no_name_yet(opened, model):
    opened.drafts.predict(model).run()
    changes = []
    opened.changed.connect(lambda change, source: changes.append(change))
    opened.drafts.accept()
    assert opened.case.labels.table.name_of(1) == "thing"
    assert any(Change.TABLE in change for change in changes)
    assert any(Change.CANDIDATE in change for change in changes)


def test_accepting_keeps_names_the_reader_gave(opened, model):
    opened.case.labels.table = LabelTable([Label(1, "hippocampus", (9, 9, 9))])
    opened.drafts.predict(model).run()
    opened.drafts.accept()
    assert opened.case.labels.table.name_of(1) == "hippocampus"


def test_accepting_one_label_leaves_the_others(opened, model):
    labels = opened.case.labels
    opened.editor.apply_labels("Before", np.full((1, 2, 2), 5, np.uint8), Box((0, 0, 0), (1, 2, 2)))
    candidate = opened.drafts.predict(model).run()
    opened.drafts.accept(values=[1])
    assert (labels.array[0, :2, :2] == 5).all()
    np.testing.assert_array_equal(labels.array == 1, candidate.labels.array == 1)


def test_a_region_leaves_everything_outside_as_it_was(opened, model):
    everything = Box.whole(SHAPE_KJI)
    opened.editor.apply_labels("Before", np.full(SHAPE_KJI, 5, np.uint8), everything)
    opened.drafts.predict(model, roi=ROI).run()
    opened.drafts.accept()
    array = opened.case.labels.array
    assert (array[~_inside(ROI)] == 5).all()
    assert set(np.unique(array[_inside(ROI)])) == {0, 1}


def test_the_accepted_draft_is_a_parent_of_the_readers_mask_even_when_undone(opened, model):
    candidate = opened.drafts.predict(model).run()
    opened.drafts.accept()
    opened.editor.undo()
    record = opened.save_labels().run().record
    assert record.parents == (candidate.record.sha256,)
    assert record.origin_kind is OriginKind.HUMAN


def test_the_parents_come_back_with_the_mask(opened, model):
    opened.drafts.predict(model).run()
    opened.drafts.accept()
    parents = opened.save_labels().run().record.parents
    again = Session(settings=SessionSettings(rater_name="Ann"))
    again.open_project(opened.project.folder).run()
    again.open_case(opened.case.record.id).run()
    again.editor.undo()
    assert again.save_labels().run().record.parents == parents


def test_a_rejected_draft_is_put_away_but_stays_stored(opened, model):
    opened.drafts.predict(model).run()
    opened.drafts.reject()
    assert opened.drafts.candidate.value is None
    assert opened.save_labels().run().record.parents == ()
    assert opened.cases[0].has_draft


@pytest.mark.parametrize("action", ["accept", "reject"])
def test_without_a_draft_there_is_nothing_to_accept_or_reject(opened, action):
    with pytest.raises(UsageError, match="no draft"):
        getattr(opened.drafts, action)()


def test_a_draft_that_arrives_for_another_case_is_not_shown(opened, model, tmp_path):
    (other,) = opened.add_images([write_scan(tmp_path / "other.nii.gz", 5)]).run()
    task = opened.drafts.predict(model)
    result = task.work(lambda *_: None)
    opened.open_case(other.id).run()
    task.apply(result)
    assert opened.drafts.candidate.value is None


def test_a_region_outside_the_image_is_refused(opened, model):
    with pytest.raises(UsageError, match="outside"):
        opened.drafts.predict(model, roi=Box((50, 0, 0), (60, 5, 5)))


def test_an_unknown_model_is_told(opened):
    with pytest.raises(BadModelFolder, match="no model"):
        opened.drafts.predict("no-such-model").run()
    assert not opened.cases[0].has_draft


def test_a_session_without_a_predictor_says_so(tmp_path, scan, model):
    session = Session(settings=SessionSettings(desk_folder=tmp_path / "desk"))
    session.open_path(scan).run()
    assert not session.drafts.is_available
    with pytest.raises(WorkerError):
        session.drafts.predict(model)


def test_a_name_means_the_champion_and_not_an_unpromoted_challenger(opened, tmp_path):
    models = opened.project.models
    base = models.register(toy_model(opened.project.models_folder / "toy-1", 1).path)
    challenger = models.register(toy_model(opened.project.models_folder / "toy-2", 2).path, line="toy")
    models.promote(base.id, "start")
    assert opened.drafts.predict("toy").run().record.weights_sha256 == base.weights_sha256
    models.promote(challenger.id, "better")
    assert opened.drafts.predict("toy").run().record.weights_sha256 == challenger.weights_sha256


def test_who_saves_at_once_saves_the_accepted_draft_as_parent_with_its_names(opened, model):
    saved = []
    opened.editor.edited.connect(lambda name: saved.append(opened.save_labels().run().record))
    candidate = opened.drafts.predict(model).run()
    opened.drafts.accept()
    assert saved[0].parents == (candidate.record.sha256,)
    assert opened.project.masks.load(saved[0].sha256).table.name_of(1) == "thing"


def test_a_draft_is_not_accepted_in_the_middle_of_a_stroke(opened, model):
    opened.drafts.predict(model).run()
    opened.editor.begin_stroke()
    with pytest.raises(EditError, match="stroke"):
        opened.drafts.accept()
    opened.editor.abort_stroke()
    assert opened.drafts.candidate.value is not None
    assert opened.case.labels.table.name_of(1) != "thing"
    assert opened.save_labels().run().record.parents == ()


def test_an_empty_draft_erases_what_was_drawn_inside_its_region_only(opened, model):
    opened.editor.apply_labels("Before", np.full(SHAPE_KJI, 5, np.uint8), Box.whole(SHAPE_KJI))
    corner = Box((0, 0, 0), (2, 3, 4))
    candidate = opened.drafts.predict(model, roi=corner).run()
    assert candidate.drawn is None
    opened.drafts.accept()
    np.testing.assert_array_equal(opened.case.labels.array == 0, _inside(corner))


def test_an_empty_draft_on_an_empty_mask_changes_nothing(opened, model):
    opened.drafts.predict(model, roi=Box((0, 0, 0), (2, 3, 4))).run()
    assert opened.drafts.accept() is None
    assert not opened.editor.can_undo.value


def test_ticked_labels_alone_are_accepted_and_named(opened, model):
    opened.editor.apply_labels("Before", np.full((1, 2, 2), 5, np.uint8), Box((0, 0, 0), (1, 2, 2)))
    candidate = opened.drafts.predict(model).run()
    assert candidate.values == (1,)
    assert opened.drafts.ticked.value == {1}
    two = np.where(np.arange(SHAPE_KJI[2]) < 10, candidate.labels.array, 2 * candidate.labels.array)
    labels = replace(
        candidate.labels, layers=(two,), table=LabelTable([Label(1, "a", (1, 1, 1)), Label(2, "b", (2, 2, 2))])
    )
    opened.drafts.propose(Candidate.of("toy", candidate.record, labels, candidate.roi, {}))
    assert opened.drafts.ticked.value == {1, 2}
    opened.drafts.ticked.value = frozenset({2})
    opened.drafts.accept_ticked()
    array = opened.case.labels.array
    np.testing.assert_array_equal(array == 2, two == 2)
    assert not (array == 1).any()
    assert (array[0, :2, :2] == 5).all()
    assert opened.case.labels.table.name_of(2) == "b"
    assert opened.case.labels.table.name_of(1) != "a"
    opened.editor.undo()
    assert not (opened.case.labels.array == 2).any()


def test_all_ticked_is_the_whole_draft_and_none_is_refused(opened, model):
    opened.editor.apply_labels("Before", np.full(SHAPE_KJI, 5, np.uint8), Box.whole(SHAPE_KJI))
    opened.drafts.predict(model).run()
    opened.drafts.ticked.value = frozenset()
    with pytest.raises(UsageError, match="ticked"):
        opened.drafts.accept_ticked()
    opened.drafts.ticked.value = frozenset({1})
    opened.drafts.accept_ticked()
    assert set(np.unique(opened.case.labels.array)) == {0, 1}


def test_the_volume_of_each_label_is_that_of_its_voxels(opened, model):
    candidate = opened.drafts.predict(model).run()
    voxels = np.count_nonzero(candidate.labels.array == 1)
    assert candidate.volumes_mm3[1] == pytest.approx(voxels * 2.0 * 0.8 * 0.9, rel=1e-5)


def test_volumes_count_voxels_without_a_spacing_and_each_slice_of_a_stack():
    array = np.zeros((2, 2, 2), np.uint8)
    array[0, 0, :2] = 3
    array[1, 0, 0] = 3
    table = LabelTable([Label(3, "x", (1, 1, 1)), Label(900, "y", (1, 1, 1))])
    unknown = Geometry((2, 2, 2), np.eye(4), spacing_known=False)
    assert label_volumes_mm3(LabelMap.of(array, unknown, table)) == {3: 3.0, 900: 0.0}
    slices = np.stack([np.eye(4), np.eye(4)])[:, :, [1, 2, 3]]
    stack = SliceStackGeometry((2, 2, 2), slices, np.array([1.0, 5.0]))
    expected = float(stack.voxel_volumes_k_mm3 @ [2, 1])
    assert label_volumes_mm3(LabelMap.of(array, stack, table))[3] == pytest.approx(expected)
