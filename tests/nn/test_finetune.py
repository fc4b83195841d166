from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from segdesk.core.progress import Cancelled, silent
from segdesk.core.training import TrainingJob
from segdesk.errors import SegdeskError, UsageError
from segdesk.nn.adapt import adapt_dataset, freeze_for, tuning_recipe
from segdesk.nn.child import EventsFile, Watch, main, run_job
from segdesk.nn.finetune import FinetuneSettings, finetune
from segdesk.nn.fit import Budget
from segdesk.nn.gate import judge
from segdesk.nn.layouts import read_dataset
from segdesk.nn.networks.ensemble import Ensemble
from segdesk.nn.networks.registry import build_network, network_named
from segdesk.nn.recipe import RecipeLabel
from segdesk.nn.scoring import CaseDice
from segdesk.nn.train import TrainSettings, train
from segdesk.workers.job_file import events_file, stop_file, write_job
from segdesk.zoo.model_folder import ModelFolder
from tests.nn.toy_sets import TOY_RECIPE, nnunet_set

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy model that has seen case_00 to case_05."""
    root = tmp_path_factory.mktemp("base")
    nnunet_set(root / "data", range(6))
    (root / "toy.toml").write_text(TOY_RECIPE)
    everyone = "case,split\n" + "".join(f"case_{n:02d},train\n" for n in range(6))
    (root / "split.csv").write_text(everyone)
    settings = TrainSettings(
        root / "data", root / "toy", Budget(steps=20), root / "toy.toml", split=root / "split.csv", threads=1
    )
    train(settings, lambda event: None, silent)
    return root / "toy"


@pytest.fixture(scope="module")
def more(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cases 0 to 29, of which the base has seen the first six."""
    return nnunet_set(tmp_path_factory.mktemp("more"), range(30))


def _tune(base: Path, data: Path, out: Path, **changes: Any) -> list[Mapping[str, Any]]:
    events: list[Mapping[str, Any]] = []
    settings = FinetuneSettings(data, base, out, Budget(steps=4), threads=1, device="cpu")
    finetune(replace(settings, **changes), events.append, silent)
    return events


def _scores(values: list[float | None], drafted: bool = False) -> list[CaseDice]:
    return [CaseDice(f"c{n}", f"p{n}", {1: value}, drafted) for n, value in enumerate(values)]


def test_the_challenger_is_written_judged_and_never_touches_the_base(base: Path, more: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in base.iterdir()}
    result = _tune(base, more, tmp_path / "new")[-1]
    folder = ModelFolder.load(tmp_path / "new")
    assert {path.name: path.read_bytes() for path in base.iterdir()} == before
    assert result["event"] == "result"
    assert result["verdict"] in {"better", "tie", "worse"}
    assert result["promoted"] is False
    assert len(result["test_cases"]) >= 5
    assert not set(result["test_cases"]) & {f"case_{n:02d}" for n in range(6)}
    assert result["challenger"]["mean"]["dice"]["n"] == len(result["test_cases"])
    json.dumps(result, allow_nan=False)
    assert (folder.spec.name, folder.spec.version) == ("toy", "2")
    assert folder.spec.parent == ModelFolder.load(base).spec.reference


def test_the_challenger_knows_the_longest_image_of_both(base: Path, more: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    shutil.copytree(base, small)
    spec = json.loads((small / "model.json").read_text())
    whole = spec["trained_extent_kji_mm"]
    (small / "model.json").write_text(json.dumps(spec | {"trained_extent_kji_mm": [1.0, 999.0, 1.0]}))
    _tune(small, more, tmp_path / "new")
    assert ModelFolder.load(tmp_path / "new").spec.trained_extent_kji_mm == (whole[0], 999.0, whole[2])


def test_the_challenger_remembers_what_its_ancestors_saw(base: Path, more: Path, tmp_path: Path) -> None:
    first = _tune(base, more, tmp_path / "one")[-1]
    second = _tune(tmp_path / "one", more, tmp_path / "two")[-1]
    training = ModelFolder.load(tmp_path / "two").spec.training
    assert training is not None
    seen = {case.patient_key for case in training.seen}
    assert [ancestor.version for ancestor in training.ancestors] == ["1", "2"]
    assert {f"case_{n:02d}" for n in range(6)} <= seen
    assert not seen & set(second["test_cases"])
    assert set(second["test_cases"]) <= set(first["test_cases"])


def test_pixels_the_base_has_seen_under_another_name_do_not_test(base: Path, more: Path, tmp_path: Path) -> None:
    data = nnunet_set(tmp_path / "renamed", range(6), {f"case_{n:02d}": f"other{n}" for n in range(6)})
    (data / "s.csv").write_text(
        "case,split\n" + "".join(f"case_{n:02d},{'test' if n else 'train'}\n" for n in range(6))
    )
    events = _tune(base, data, tmp_path / "new", split=data / "s.csv")
    assert events[-1]["test_cases"] == []
    assert any("was trained on it" in str(event.get("message")) for event in events)


def test_one_patient_trains_and_cannot_be_judged(base: Path, tmp_path: Path) -> None:
    data = nnunet_set(tmp_path / "one", range(40, 42), {"case_40": "p", "case_41": "p"})
    result = _tune(base, data, tmp_path / "new")[-1]
    assert result["verdict"] == "cannot_judge"
    assert result["test_cases"] == []
    assert "at least 5" in result["reason"]
    ModelFolder.load(tmp_path / "new").verify()


def test_scores_on_references_that_began_as_a_draft_are_marked(base: Path, more: Path, tmp_path: Path) -> None:
    data = nnunet_set(tmp_path / "drafted", range(30, 60))
    rows = {f"case_{n:02d}": {"began_as_draft_of": ["ab" * 32]} for n in range(30, 60)}
    (data / "manifest.json").write_text(json.dumps(rows))
    result = _tune(base, data, tmp_path / "new")[-1]
    assert result["began_as_model"] == result["test_cases"]
    assert "flatters" in result["reason"]


def test_labels_and_channels_must_be_the_models(base: Path, more: Path) -> None:
    spec = ModelFolder.load(base).spec
    dataset = read_dataset(more)
    with pytest.raises(SegdeskError, match="differ in 2"):
        adapt_dataset(replace(dataset, labels=(*dataset.labels, RecipeLabel(2, "b"))), spec)
    with pytest.raises(SegdeskError, match="needs the channels"):
        adapt_dataset(replace(dataset, channels=("a", "b")), spec)
    one = adapt_dataset(replace(dataset, channels=("anything",)), spec)
    assert one.channels == ("t1",)
    images = tuple(case.images * 2 for case in dataset.cases)
    many = replace(
        dataset,
        channels=("x", "t1"),
        cases=tuple(replace(c, images=(Path("x"), *i[:1])) for c, i in zip(dataset.cases, images, strict=True)),
    )
    assert adapt_dataset(many, spec).cases[0].images == dataset.cases[0].images


def test_fewer_patients_free_fewer_layers() -> None:
    def free(patients: int) -> int:
        network = build_network(network_named("residual_unet"), dimensions=3, in_channels=1, out_channels=2)
        assert str(patients) in freeze_for(network, patients)
        return sum(p.numel() for p in network.parameters() if p.requires_grad)

    assert 0 < free(2) < free(10) < free(50)
    one = build_network(network_named("residual_unet"), dimensions=3, in_channels=1, out_channels=2)
    freeze_for(Ensemble([one, other := copy.deepcopy(one)]), 2)
    assert sum(p.numel() for p in other.parameters() if p.requires_grad) == free(2)
    basic = build_network(network_named("basic_unet"), dimensions=3, in_channels=1, out_channels=2)
    freeze_for(basic, 1)
    assert all(p.requires_grad for p in basic.parameters())


def test_fine_tuning_takes_the_bases_recipe_with_a_smaller_learning_rate(base: Path, tmp_path: Path) -> None:
    recipe = tuning_recipe(None, ModelFolder.load(base))
    assert recipe.training.learning_rate == pytest.approx(0.0025)
    assert recipe.augment.flip_axes == ("i",)
    (tmp_path / "own.toml").write_text("[training]\nlearning_rate = 0.5")
    assert tuning_recipe(tmp_path / "own.toml", ModelFolder.load(base)).training.learning_rate == 0.5


@pytest.mark.parametrize(
    ("shift", "verdict"), [(0.05, "better"), (-0.05, "worse"), (0.0, "tie")], ids=["better", "worse", "tie"]
)
def test_verdict_follows_the_interval_of_the_paired_difference(shift: float, verdict: str) -> None:
    rng = np.random.default_rng(0)
    before = rng.uniform(0.6, 0.9, 12)
    after = before + shift + rng.normal(0, 0.01, 12)
    found = judge(_scores(list(before)), _scores(list(after)))
    assert found.word == verdict
    assert found.patients == 12
    assert found.difference is not None
    oracle = stats.bootstrap((after - before,), np.mean, n_resamples=5000, method="percentile", rng=1)
    np.testing.assert_allclose(found.difference["ci95"], oracle.confidence_interval, atol=1e-3)


def test_fewer_than_five_patients_cannot_be_judged_however_clear_the_difference() -> None:
    found = judge(_scores([0.1] * 4), _scores([0.9] * 4))
    assert (found.word, found.patients) == ("cannot_judge", 4)
    assert judge(_scores([None]), _scores([None])).difference is None
    assert judge(_scores([0.5]), _scores([0.6])).difference == {"mean": 0.1, "ci95": None}


def test_many_scans_of_one_patient_are_one_observation() -> None:
    before = [CaseDice(f"c{n}", f"p{min(n, 3)}", {1: 0.5}) for n in range(20)]
    after = [replace(score, dice={1: 0.9}) for score in before]
    assert judge(before, after).word == "cannot_judge"


def _job(folder: Path, base: Path | None, data: Path, **changes: Any) -> TrainingJob:
    folder.mkdir(parents=True)
    return replace(TrainingJob(folder, data, folder / "model", base, None, 3, "cpu"), **changes)


def _lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in events_file(folder).read_text().splitlines()]


def test_the_child_writes_its_events_and_ends_with_the_result(base: Path, more: Path, tmp_path: Path) -> None:
    assert run_job(_job(tmp_path / "job", base, more)) == 0
    assert _lines(tmp_path / "job")[-1]["event"] == "result"


def test_the_child_trains_from_scratch_without_a_base(more: Path, tmp_path: Path) -> None:
    small = nnunet_set(tmp_path / "small", range(4))
    assert run_job(_job(tmp_path / "job", None, small, steps=1)) == 0, _lines(tmp_path / "job")
    assert "metrics" in _lines(tmp_path / "job")[-1]


def test_a_child_that_was_told_to_stop_ends_without_a_model(base: Path, more: Path, tmp_path: Path) -> None:
    job = _job(tmp_path / "job", base, more)
    stop_file(job.folder).touch()
    assert run_job(job) == 130
    assert _lines(job.folder)[-1]["event"] == "stopped"
    assert not job.out.exists()


def test_a_child_whose_project_is_gone_ends(base: Path, more: Path, tmp_path: Path) -> None:
    job = _job(tmp_path / "job", base, more)
    events = EventsFile(events_file(job.folder))
    events_file(job.folder).unlink()
    assert events.is_gone
    with Watch(events, stop_file(job.folder)) as watch, pytest.raises(Cancelled):
        watch.report(0, 1)


def test_refusals_and_accidents_reach_the_events(
    base: Path, more: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_job(_job(tmp_path / "a", base, tmp_path / "nowhere")) == 2
    assert _lines(tmp_path / "a")[-1]["error"]["code"] == "bad_dataset"
    for name, failure, code, exit_code in (
        ("b", MemoryError(), "out_of_memory", 2), ("c", ZeroDivisionError("secret"), "internal", 1),
    ):  # fmt: skip
        monkeypatch.setattr("segdesk.nn.child.finetune", _raiser(failure))
        assert run_job(_job(tmp_path / name, base, more)) == exit_code
        last = _lines(tmp_path / name)[-1]
        assert last["error"]["code"] == code
        assert "secret" not in json.dumps(last)


def _raiser(failure: Exception) -> Any:
    def fail(*_: object) -> None:
        raise failure

    return fail


def test_a_hanging_step_is_ended_by_the_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exits: list[int] = []
    done = threading.Event()
    monkeypatch.setattr("segdesk.nn.child.HEARTBEAT_S", 0.01)
    monkeypatch.setattr("segdesk.nn.child.GRACE_S", 0.0)

    def leave(code: int) -> None:
        exits.append(code)
        done.set()

    monkeypatch.setattr("segdesk.nn.child.os._exit", leave)
    (tmp_path / "stop").touch()
    with Watch(EventsFile(tmp_path / "events"), tmp_path / "stop"):
        assert done.wait(10)
    assert exits[0] == 130


def test_the_heartbeat_moves_the_time_of_the_events_file(tmp_path: Path) -> None:
    events = EventsFile(tmp_path / "events")
    os.utime(tmp_path / "events", (1, 1))
    events.touch()
    assert (tmp_path / "events").stat().st_mtime > time.time() - 100


def test_a_missing_or_broken_job_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    (tmp_path / "job.json").write_text("{}")
    assert main([str(tmp_path / "job.json")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
    with pytest.raises(UsageError):
        Budget()


@pytest.mark.slow
def test_the_module_runs_as_a_process_of_its_own(base: Path, more: Path, tmp_path: Path) -> None:
    job = _job(tmp_path / "job", base, more, steps=1)
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-m", "segdesk.nn.finetune", str(write_job(job))],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert _lines(job.folder)[-1]["event"] == "result"
