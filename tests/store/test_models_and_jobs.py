import numpy as np
import pytest
from safetensors.numpy import save

from segdesk.errors import BadModelFolder, NotFound, SaveFailed, StoreError
from segdesk.store.project import Project
from tests.zoo.folders import folder


@pytest.fixture
def model(project):
    def make(number, **fields):
        weights = save({"a": np.full(3, number, np.float32)})
        made = folder(project.models_folder / f"toy-{number}", weights, name="toy")
        return project.models.register(made.path, **fields)

    return make


def test_a_model_is_registered_once_by_its_weights(project, model):
    record = model(1)
    assert project.models.register(record.folder) == record
    assert project.models.all() == (record,)
    assert record.name == "toy"


def test_a_challenger_joins_the_line_of_its_base(model):
    base = model(1)
    challenger = model(2, line=base.name, parent_sha256=base.weights_sha256, verdict="tie")
    assert (challenger.name, challenger.parent_sha256, challenger.verdict) == ("toy", base.weights_sha256, "tie")


def test_a_folder_that_is_no_model_is_refused(project, tmp_path):
    with pytest.raises(BadModelFolder):
        project.models.register(tmp_path)


def test_there_is_no_champion_before_a_promotion(project, model):
    model(1)
    assert project.models.champion("toy") is None
    assert project.models.last_promotion() is None


def test_the_last_promoted_model_is_champion(project, model):
    first, second = model(1), model(2)
    project.models.promote(first.id, "start")
    promotion = project.models.promote(second.id, "better by 0.02")
    assert project.models.champion("toy") == second
    assert promotion.reason == "better by 0.02"
    assert project.models.last_promotion() == promotion


def test_a_rollback_is_a_new_record(project, model):
    first, second = model(1), model(2)
    project.models.promote(first.id, "start")
    project.models.promote(second.id, "better")
    project.models.rollback("toy", "worse on new scans")
    assert project.models.champion("toy") == first
    assert [entry.model for entry in project.models.promotions("toy")] == [first, second, first]


def test_without_an_earlier_champion_there_is_no_rollback(project, model):
    project.models.promote(model(1).id, "start")
    with pytest.raises(StoreError, match="no earlier champion"):
        project.models.rollback("toy", "")
    with pytest.raises(StoreError):
        project.models.rollback("never heard of", "")


def test_an_unknown_model_cannot_be_promoted(project):
    with pytest.raises(NotFound):
        project.models.promote(5, "")


def test_models_move_with_the_project(project, model, tmp_path):
    model(1)
    project.close()
    project.folder.rename(tmp_path / "moved")
    (record,) = Project.open(tmp_path / "moved").models.all()
    assert record.folder == tmp_path / "moved" / "models" / "toy-1"


def test_a_job_has_a_folder_of_its_own(project):
    first, second = project.jobs.add("finetune"), project.jobs.add("finetune")
    assert first.folder.is_dir()
    assert first.folder != second.folder
    assert project.jobs.all() == (first, second)


def test_a_job_says_how_it_stands(project):
    job = project.jobs.add("finetune")
    updated = project.jobs.update(job.id, "done", "tie")
    assert (updated.status, updated.detail) == ("done", "tie")
    assert updated.updated >= job.created
    with pytest.raises(NotFound):
        project.jobs.update(99, "done")


def test_a_job_whose_folder_cannot_be_made_is_not_recorded(project):
    (project.folder / "jobs").write_text("a file")
    with pytest.raises(SaveFailed):
        project.jobs.add("finetune")
    assert project.jobs.all() == ()


def test_a_job_never_shares_a_folder_that_is_there_already(project):
    (project.folder / "jobs" / "finetune-0001").mkdir(parents=True)
    (project.folder / "jobs" / "finetune-0001" / "events.jsonl").write_text("of another run\n")
    job = project.jobs.add("finetune")
    assert job.folder.name == "finetune-0001-2"
    assert list(job.folder.iterdir()) == []
