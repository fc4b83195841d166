"""The whole main job without a window and without torch: what every click of the window does."""

import json
import subprocess
import sys

import numpy as np

from segdesk.session import Budget, Session, SessionSettings
from segdesk.session.scores import BEGAN_AS_DRAFT
from segdesk.store.project import Project
from segdesk.store.records import CaseStatus
from tests.session.reading import dab
from tests.session.toys import FakeTrainer, ToyPredictor, toy_model, write_scan


def test_from_a_scan_to_a_better_model(tmp_path):
    scan = write_scan(tmp_path / "scans" / "head.nii.gz")
    model = toy_model(tmp_path / "zoo" / "toy").path
    trainer = FakeTrainer("tie")
    session = Session(ToyPredictor(), trainer, SessionSettings(rater_name="Ann", required_reads=3))
    session.create_project(tmp_path / "project", "Heads").run()

    # Open.
    (record,) = session.add_images([scan]).run()
    session.open_case(record.id).run()

    for name, radius_mm in (("Ann", 1.5), ("Bob", 2.0), ("Cem", 2.5)):
        # Draft and accept.
        session.use_rater(name).run()
        candidate = session.drafts.predict(model).run()
        session.drafts.accept()
        session.save_labels().run()
        # Correct: one stroke, taken back, drawn again.
        drafted = session.case.labels.array.copy()
        np.testing.assert_array_equal(drafted, candidate.labels.array)
        assert dab(session, at_kji=(5.0, 18.0, 14.0), radius_mm=radius_mm) is not None
        corrected = session.case.labels.array.copy()
        session.editor.undo()
        np.testing.assert_array_equal(session.case.labels.array, drafted)
        session.editor.redo()
        np.testing.assert_array_equal(session.case.labels.array, corrected)
        assert session.save_labels().run().error is None
        # Vote.
        session.panel.submit_read(0.8, "").run()

    # Agree: nested balls, so the majority is the middle reader's mask.
    merge = session.panel.merge("majority").run()
    reads = {read.name: read.labels.array for read in merge.reads}
    np.testing.assert_array_equal(merge.consensus.labels.array, reads["Bob"])
    assert len(merge.disputes) >= 1
    consensus = session.panel.record_consensus().run()
    assert session.cases[0].status is CaseStatus.AGREED
    assert session.cases[0].disputes == len(merge.disputes)

    # Score.
    sheet = session.scores.evaluate_against_reference().run()
    entries = {entry.name: entry for entry in sheet.entries}
    assert list(entries) == ["toy@1", "Ann", "Bob", "Cem"]
    assert entries["Bob"].scores.to_json()["labels"]["1"]["dice"] == 1.0
    assert entries["toy@1"].scores.to_json()["labels"]["1"]["dice"] < 1.0
    assert BEGAN_AS_DRAFT in entries["toy@1"].notes

    # Teach.
    session.teaching.start(model, Budget(steps=2), device="cpu").run()
    session.teaching.poll()
    (job,) = trainer.jobs
    manifest = json.loads((job.dataset / "manifest.json").read_text())
    assert [item["reference_sha256"] for item in manifest.values()] == [consensus.mask_sha256]
    assert [item["began_as_draft_of"] for item in manifest.values()] == [[candidate.record.weights_sha256]]
    promotion = session.teaching.promote("tie, but trained on ours").run()
    assert session.drafts.predict("toy").run().record.weights_sha256 == promotion.model.weights_sha256

    # All of it is on disk and sound.
    session.drafts.reject()
    session.close()
    assert Project.open(tmp_path / "project").verify() == ()


def test_the_program_without_a_window_needs_neither_qt_nor_torch():
    code = (
        "import sys, segdesk.session, segdesk.store.project, segdesk.review, segdesk.metrics, segdesk.edit.editor;"
        "print(sorted({'torch', 'monai', 'PySide6', 'pyqtgraph'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
