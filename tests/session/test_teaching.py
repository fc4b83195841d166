import csv
import json

import nibabel as nib
import numpy as np
import pytest

from segdesk.core.box import Box
from segdesk.errors import SegdeskError, StoreError, UsageError, WorkerError
from segdesk.session import Budget, Session
from tests.session.toys import write_scan

LEFT, RIGHT = Box((2, 4, 2), (9, 20, 12)), Box((1, 2, 6), (9, 22, 18))
STEPS = Budget(steps=3)


@pytest.fixture
def taught(opened, scan, tmp_path):
    """A case with an imported reference: the bright ball."""
    import_reference(opened, scan, tmp_path)
    return opened


def import_reference(session, scan, tmp_path):
    image = nib.load(scan)
    truth = nib.Nifti1Image((np.asarray(image.dataobj) > 300).astype(np.uint8), image.affine)
    truth.set_sform(image.affine, 1)
    path = tmp_path / f"truth-{scan.name}"
    nib.save(truth, path)
    session.scores.import_reference(path).run()


def _rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_case_without_regions_goes_in_whole(taught, tmp_path, scan):
    dataset = taught.teaching.export_dataset(tmp_path / "set").run()
    (item,) = dataset.items
    image = nib.load(tmp_path / "set" / "imagesTr" / f"{item}_0000.nii.gz")
    labels = nib.load(tmp_path / "set" / "labelsTr" / f"{item}.nii.gz")
    np.testing.assert_array_equal(np.asarray(image.dataobj), np.asarray(nib.load(scan).dataobj))
    np.testing.assert_array_equal(np.asarray(labels.dataobj) == 1, np.asarray(image.dataobj) > 300)
    np.testing.assert_allclose(image.affine, nib.load(scan).affine, atol=1e-5)


def test_each_region_becomes_an_item_at_its_place_in_the_patient(taught, model, tmp_path, scan):
    for roi in (LEFT, RIGHT, LEFT):
        taught.drafts.predict(model, roi=roi).run()
    dataset = taught.teaching.export_dataset(tmp_path / "set").run()
    assert len(dataset.items) == 2
    source = nib.load(scan)
    for item, box in zip(dataset.items, (LEFT, RIGHT), strict=True):
        image = nib.load(tmp_path / "set" / "imagesTr" / f"{item}_0000.nii.gz")
        crop = np.asarray(source.dataobj).T[box.slices]
        np.testing.assert_array_equal(np.asarray(image.dataobj).T, crop)
        corner_ijk = (*reversed(box.start_kji), 1)
        np.testing.assert_allclose(image.affine[:3, 3], (source.affine @ corner_ijk)[:3], atol=1e-4)
        labels = np.asarray(nib.load(tmp_path / "set" / "labelsTr" / f"{item}.nii.gz").dataobj)
        np.testing.assert_array_equal(labels.T == 1, crop > 300)


def test_a_case_also_drafted_as_a_whole_goes_in_whole(taught, model, tmp_path):
    taught.drafts.predict(model, roi=LEFT).run()
    taught.drafts.predict(model).run()
    assert len(taught.teaching.export_dataset(tmp_path / "set").run().items) == 1


def test_the_set_says_labels_channels_patients_and_lineage(taught, model, tmp_path):
    taught.drafts.predict(model, roi=LEFT).run()
    taught.drafts.predict(model, roi=RIGHT).run()
    dataset = taught.teaching.export_dataset(tmp_path / "set").run()
    described = json.loads((tmp_path / "set" / "dataset.json").read_text())
    assert described["channel_names"] == {"0": "image"}
    assert described["labels"] == {"background": 0, "Label 1": 1}
    assert described["numTraining"] == 2
    patients = _rows(tmp_path / "set" / "patients.csv")
    assert [row["case"] for row in patients] == list(dataset.items)
    assert len({row["patient"] for row in patients}) == 1
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
    assert manifest[dataset.items[0]]["roi"] == "2:9,4:20,2:12"
    assert manifest[dataset.items[0]]["began_as_draft_of"] == []


def test_cases_without_a_reference_are_left_out_with_the_reason(taught, tmp_path):
    taught.add_images([write_scan(tmp_path / "second.nii.gz", 4)]).run()
    dataset = taught.teaching.export_dataset(tmp_path / "set").run()
    assert dataset.left_out == ("second: it has no consensus and no reference.",)


def test_a_case_whose_image_is_gone_is_left_out(taught, tmp_path):
    second = write_scan(tmp_path / "second.nii.gz", 4)
    (case,) = taught.add_images([second]).run()
    taught.open_case(case.id).run()
    import_reference(taught, second, tmp_path)
    second.unlink()
    dataset = taught.teaching.export_dataset(tmp_path / "set").run()
    assert len(dataset.items) == 1
    assert dataset.left_out[0].startswith("second: ")


def test_a_case_with_other_channels_than_the_first_is_left_out(taught, tmp_path):
    paths = {name: write_scan(tmp_path / f"{name}.nii.gz", 4) for name in ("t1", "t2")}
    case = taught.project.add_case("two channels", paths)
    taught.open_case(case.id).run()
    import_reference(taught, paths["t1"], tmp_path)
    dataset = taught.teaching.export_dataset(tmp_path / "set").run()
    assert dataset.left_out == ("two channels: it has other channels than the first case.",)


def test_nothing_to_train_on_is_told(opened, tmp_path):
    with pytest.raises(UsageError) as caught:
        opened.teaching.export_dataset(tmp_path / "set").run()
    assert caught.value.code == "bad_dataset"


def test_a_folder_that_is_not_empty_is_refused(taught, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine.txt").write_text("keep")
    with pytest.raises(SegdeskError) as caught:
        taught.teaching.export_dataset(tmp_path / "set").run()
    assert caught.value.code == "exists"
    with pytest.raises(SegdeskError):
        taught.teaching.export_dataset(tmp_path / "set" / "mine.txt").run()


def test_a_run_gets_frozen_data_base_budget_and_a_new_place(taught, model, trainer):
    run = taught.teaching.start(model, Budget(seconds=5.0), device="cpu", seed=7).run()
    (job,) = trainer.jobs
    assert taught.teaching.run.value is run
    assert (job.seconds, job.steps, job.device, job.seed, job.base) == (5.0, None, "cpu", 7, model)
    assert job.dataset.is_relative_to(job.folder)
    assert job.out.parent == taught.project.models_folder
    assert [each.status for each in taught.project.jobs.all()] == ["running"]
    assert len(taught.teaching.dataset.items) == 1


def test_events_are_collected_and_the_verdict_told(taught, model):
    taught.teaching.start(model, STEPS).run()
    changes = []
    taught.changed.connect(lambda change, source: changes.append(change))
    news = taught.teaching.poll()
    assert [event["event"] for event in news] == ["progress", "result"]
    assert taught.teaching.verdict.value["verdict"] == "cannot_judge"
    assert taught.teaching.events == news
    assert len(changes) == 1
    assert taught.teaching.poll() == ()


def test_a_child_that_dies_without_a_result_is_told(taught, model):
    run = taught.teaching.start(model, STEPS).run()
    run._events.pop()
    taught.teaching.poll()
    assert taught.teaching.failure.value == ""
    taught.teaching.stop()
    assert run.is_stopped
    taught.teaching.poll()
    assert "log" in taught.teaching.failure.value
    assert taught.teaching.verdict.value is None


def test_a_result_that_only_the_run_knows_is_taken(taught, model):
    run = taught.teaching.start(model, STEPS).run()
    run.result, run._events, run.is_alive = run._events[-1], [], False
    taught.teaching.poll()
    assert taught.teaching.verdict.value["verdict"] == "cannot_judge"


def test_without_a_run_polling_and_stopping_do_nothing(opened):
    assert opened.teaching.poll() == ()
    opened.teaching.stop()


def test_promotion_makes_the_challenger_champion_and_rollback_the_base(taught, model):
    taught.teaching.start(model, STEPS).run()
    taught.teaching.poll()
    promotion = taught.teaching.promote("I looked at it").run()
    assert promotion.reason == "I looked at it"
    models = taught.project.models
    assert models.champion("toy") == promotion.model
    assert [each.verdict for each in taught.teaching.models()] == ["", "cannot_judge"]
    assert taught.project.jobs.all()[0].status == "done"
    taught.teaching.rollback("no").run()
    assert models.champion("toy").folder == model


def test_a_result_is_recorded_without_promoting(taught, model):
    taught.teaching.start(model, STEPS).run()
    taught.teaching.poll()
    record = taught.teaching.record_result().run()
    assert record.parent_sha256 == taught.project.models.all()[0].weights_sha256
    assert taught.project.models.champion("toy") is None


def test_the_next_run_starts_from_the_champion(taught, model, trainer):
    taught.teaching.start(model, STEPS).run()
    taught.teaching.poll()
    champion = taught.teaching.promote().run().model
    taught.teaching.run.value.stop()
    taught.teaching.start("toy", STEPS).run()
    assert trainer.jobs[1].base == champion.folder


def test_rollback_works_in_a_later_session(taught, model):
    taught.teaching.start(model, STEPS).run()
    taught.teaching.poll()
    taught.teaching.promote().run()
    again = Session()
    again.open_project(taught.project.folder).run()
    assert again.teaching.rollback().run().model.folder == model


def test_without_a_promotion_there_is_nothing_to_roll_back(taught):
    with pytest.raises((UsageError, StoreError)):
        taught.teaching.rollback().run()


@pytest.mark.parametrize("call", ["promote", "record_result"])
def test_without_a_result_nothing_is_promoted(taught, call):
    with pytest.raises(UsageError, match="train first"):
        getattr(taught.teaching, call)()


def test_one_run_at_a_time(taught, model):
    taught.teaching.start(model, STEPS).run()
    with pytest.raises(UsageError, match="running"):
        taught.teaching.start(model, STEPS)


def test_a_failed_start_closes_the_job(taught, model, trainer):
    trainer.is_broken = True
    with pytest.raises(WorkerError):
        taught.teaching.start(model, STEPS).run()
    assert [(each.status, bool(each.detail)) for each in taught.project.jobs.all()] == [("failed", True)]
    assert taught.teaching.run.value is None


def test_a_session_without_a_trainer_says_so(taught, model):
    bare = Session()
    bare.open_project(taught.project.folder).run()
    assert not bare.teaching.is_available
    with pytest.raises(WorkerError):
        bare.teaching.start(model, STEPS)


@pytest.mark.parametrize("budget", [{}, {"seconds": 1.0, "steps": 1}])
def test_a_budget_is_seconds_or_steps(budget):
    with pytest.raises(UsageError):
        Budget(**budget)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            {"event": "error", "error": {"code": "diverged", "message": "The loss is no number.", "path": None}},
            "no number",
        ),
        ({"event": "stopped", "text": "Stopped; the base model is unchanged."}, "unchanged"),
    ],
)
def test_a_training_that_said_why_it_ended_is_quoted(taught, model, event, words):
    run = taught.teaching.start(model, STEPS).run()
    run._events, run.is_alive = [event, {"event": "warning", "code": "worker", "message": "late"}], False
    taught.teaching.poll()
    assert words in taught.teaching.failure.value
