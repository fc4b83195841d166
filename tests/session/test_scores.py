import nibabel as nib
import numpy as np
import pytest

from segdesk.core.box import Box
from segdesk.errors import GeometryMismatch, UsageError
from segdesk.session.scores import BEGAN_AS_DRAFT, HELPED_REFERENCE, ONLY_INSIDE, SIMULATED
from segdesk.store.records import RaterKind
from tests.session.reading import dab, read


def _agree(session):
    session.panel.merge("majority").run()
    session.panel.record_consensus().run()


def _by_name(sheet):
    return {entry.name: entry for entry in sheet.entries}


def _dice(entry):
    return entry.scores.to_json()["labels"]["1"]["dice"]


def test_readers_and_model_are_scored_against_the_consensus(opened, model):
    opened.drafts.predict(model).run()
    opened.drafts.reject()
    read(opened, "Ann", 3.0), read(opened, "Bob", 3.0)
    _agree(opened)
    sheet = opened.scores.evaluate_against_reference().run()
    assert opened.scores.sheet.value is sheet
    assert [entry.name for entry in sheet.entries] == ["toy@1", "Ann", "Bob"]
    entries = _by_name(sheet)
    assert _dice(entries["Ann"]) == 1.0
    draft = opened.project.masks.load(entries["toy@1"].mask_sha256).array == 1
    reference = opened.project.masks.load(sheet.reference.sha256).array == 1
    expected = 2 * (draft & reference).sum() / (draft.sum() + reference.sum())
    assert _dice(entries["toy@1"]) == pytest.approx(expected)
    assert entries["toy@1"].notes == ()
    assert entries["Ann"].notes == (HELPED_REFERENCE,)


def test_a_reference_that_began_as_the_models_draft_is_marked(opened, model):
    for name in ("Ann", "Bob"):
        opened.use_rater(name).run()
        opened.drafts.predict(model).run()
        opened.drafts.accept()
        opened.panel.submit_read().run()
    _agree(opened)
    sheet = opened.scores.evaluate_against_reference().run()
    assert _by_name(sheet)["toy@1"].notes == (BEGAN_AS_DRAFT,)


def test_a_model_run_on_regions_is_scored_inside_them_only(opened, model):
    for roi in (Box((0, 0, 0), (10, 24, 10)), Box((0, 0, 10), (10, 24, 14))):
        opened.drafts.predict(model, roi=roi).run()
    opened.drafts.reject()
    whole = opened.case.volume.array > 300
    opened.editor.apply_labels("All", whole.astype(np.uint8), Box.whole(whole.shape))
    opened.editor.begin_stroke()
    opened.editor.paint((5.0, 3.0, 18.0), (5.0, 3.0, 18.0))
    opened.editor.commit_stroke()
    opened.panel.submit_read().run()
    read(opened, "Bob")
    opened.use_rater("Ann").run()
    _agree(opened)
    entry = _by_name(opened.scores.evaluate_against_reference().run())["toy@1"]
    assert ONLY_INSIDE in entry.notes


def test_simulated_readers_are_marked(opened):
    read(opened, "Sim", kind=RaterKind.SIMULATED), read(opened, "Ann")
    _agree(opened)
    entry = _by_name(opened.scores.evaluate_against_reference().run())["Sim"]
    assert SIMULATED in entry.notes
    assert entry.kind is RaterKind.SIMULATED


def test_an_imported_reference_goes_before_the_consensus(opened, scan, tmp_path):
    dab(opened, radius_mm=3.0)
    opened.panel.submit_read().run()
    truth = nib.Nifti1Image(opened.case.labels.array.T.copy(), nib.load(scan).affine)
    truth.set_sform(truth.affine, 1)
    nib.save(truth, tmp_path / "truth.nii.gz")
    record = opened.scores.import_reference(tmp_path / "truth.nii.gz").run()
    sheet = opened.scores.evaluate_against_reference().run()
    assert sheet.reference == record
    assert sheet.reference_name == "imported reference"
    (entry,) = sheet.entries
    assert (_dice(entry), entry.notes) == (1.0, ())


def test_a_reference_on_another_grid_is_refused(opened, tmp_path):
    nib.save(nib.Nifti1Image(np.zeros((20, 24, 10), np.uint8), np.eye(4)), tmp_path / "truth.nii.gz")
    with pytest.raises(GeometryMismatch):
        opened.scores.import_reference(tmp_path / "truth.nii.gz").run()


def test_without_a_reference_there_are_no_scores(opened):
    with pytest.raises(UsageError, match="no reference"):
        opened.scores.evaluate_against_reference().run()


def test_a_late_reader_does_not_see_the_consensus_through_scores(opened):
    read(opened, "Ann"), read(opened, "Bob")
    _agree(opened)
    opened.use_rater("Cem").run()
    with pytest.raises(UsageError, match="submit your own read"):
        opened.scores.evaluate_against_reference().run()
