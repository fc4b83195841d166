from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from segdesk.core.prediction import PredictOptions
from segdesk.core.progress import Cancelled, silent
from segdesk.errors import ModelError, UsageError, WriteError
from segdesk.io import read_volume
from segdesk.nn.fit import Budget
from segdesk.nn.learner import Learner
from segdesk.nn.predict import predict
from segdesk.nn.run import work_folder
from segdesk.nn.sampler import Batch
from segdesk.nn.scoring import CaseDice, as_csv, bootstrap_ci, summary
from segdesk.nn.train import TrainSettings, train
from segdesk.nn.validation import class_dices
from segdesk.zoo.model_folder import ModelFolder
from tests.nn.toy_sets import TOY_RECIPE, ball_case, nnunet_set
from tests.nn.toys import toy_spec

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = nnunet_set(tmp_path_factory.mktemp("balls"), range(8))
    (root / "split.csv").write_text(
        "case,split\n" + "".join(f"case_{n:02d},{'test' if n < 2 else 'train'}\n" for n in range(8))
    )
    (root / "toy.toml").write_text(TOY_RECIPE)
    return root


def _settings(data: Path, out: Path, steps: int = 12, **changes: Any) -> TrainSettings:
    values: dict[str, Any] = {"recipe": data / "toy.toml", "split": data / "split.csv", "device": "cpu", "threads": 1}
    return TrainSettings(data, out, Budget(steps=steps), **(values | changes))


def _train(settings: TrainSettings, report: Any = silent) -> list[Mapping[str, Any]]:
    events: list[Mapping[str, Any]] = []
    train(settings, events.append, report)
    return events


@pytest.mark.slow
def test_a_network_learns_the_ball_and_its_folder_predicts_it(data: Path, tmp_path: Path) -> None:
    events = _train(_settings(data, tmp_path / "ball", steps=60))
    result = events[-1]
    folder = ModelFolder.load(tmp_path / "ball")
    image = read_volume(data / "imagesTr" / "case_00_0000.nii.gz")
    labels = predict({"t1": image}, folder.path, PredictOptions(device="cpu"), silent).labels
    wanted = ball_case(0)[1].T
    dice = 2 * np.sum((labels.array == 1) & (wanted == 1)) / (labels.array.sum() + wanted.sum())
    measured = result["metrics"]["test"]["labels"]["1"]["dice"]
    assert result["test_cases"] == ["case_00", "case_01"]
    assert measured["mean"] > 0.85
    assert abs(dice - measured["mean"]) < 0.1
    folder.verify()


def test_the_folder_tells_where_the_weights_came_from(data: Path, tmp_path: Path) -> None:
    events = _train(_settings(data, tmp_path / "m"))
    spec = ModelFolder.load(tmp_path / "m").spec
    assert spec.training is not None
    seen = {case.patient_key for case in spec.training.seen}
    assert seen == {f"case_{n:02d}" for n in range(2, 8)}
    assert len(spec.training.validation_cases) >= 1
    assert {event["event"] for event in events} == {"warning", "plan", "progress", "validation", "checkpoint", "result"}
    names = {path.name for path in (tmp_path / "m").iterdir()}
    assert {"recipe.toml", "training_log.csv", "learning_curve.png", "test_scores.csv", "MODEL_CARD.md"} <= names
    command = "--recipe toy.toml --split split.csv --steps 12 --device cpu --seed 0 --threads 1"
    assert command in (tmp_path / "m" / "MODEL_CARD.md").read_text()
    rows = list(csv.DictReader((tmp_path / "m" / "training_log.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in rows] == sorted({int(row["step"]) for row in rows})
    with Image.open(tmp_path / "m" / "learning_curve.png") as picture:
        assert picture.size[0] > 400
    card = (tmp_path / "m" / "MODEL_CARD.md").read_text()
    assert "segdesk train" in card
    assert str(data) not in card
    assert not work_folder(tmp_path / "m").exists()


def test_two_runs_with_one_seed_are_bitwise_equal_and_another_seed_differs(data: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        _train(_settings(data, tmp_path / name, steps=6, seed=seed))
    a, b, c = (load_file(tmp_path / name / "weights.safetensors") for name in "abc")
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert any(not np.array_equal(a[name], c[name]) for name in a)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_resumed_run_equals_an_uninterrupted_one(data: Path, tmp_path: Path, optimizer: str) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text(TOY_RECIPE.replace("[training]", f'[training]\noptimizer = "{optimizer}"'))
    _train(_settings(data, tmp_path / "whole", steps=100, recipe=recipe))
    seen: list[Mapping[str, Any]] = []

    def interrupt(done: int, total: int, text: str = "") -> None:
        if any(event["event"] == "checkpoint" for event in seen) and "step 30" in text:
            raise Cancelled

    with pytest.raises(Cancelled):
        train(_settings(data, tmp_path / "broken", steps=100, recipe=recipe), seen.append, interrupt)
    assert not (tmp_path / "broken").exists()
    events = _train(_settings(data, tmp_path / "broken", steps=100, recipe=recipe))
    assert any("Resumed at step 25" in str(event.get("text")) for event in events)
    whole, broken = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "broken"))
    assert all(np.array_equal(whole[name], broken[name]) for name in whole)
    logs = [(tmp_path / name / "training_log.csv").read_text() for name in ("whole", "broken")]
    assert logs[0] == logs[1]


def test_a_loss_that_is_no_number_stops_and_keeps_the_state_before(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Learner.step

    def diverging(self: Learner, step: int, progress: float) -> float:
        return math.nan if step == 30 else honest(self, step, progress)

    monkeypatch.setattr(Learner, "step", diverging)
    with pytest.raises(ModelError, match="diverged") as caught:
        _train(_settings(data, tmp_path / "m", steps=100))
    assert caught.value.code == "diverged"
    assert not (tmp_path / "m").exists()
    assert (work_folder(tmp_path / "m") / "checkpoint.json").is_file()


def test_a_step_without_a_finite_gradient_leaves_the_weights_alone(data: Path, tmp_path: Path) -> None:
    from segdesk.nn.losses import LossSettings
    from segdesk.nn.networks.registry import network_of
    from segdesk.nn.recipe import TrainingNumbers

    class Poison:
        seed = 0

        def batch(self, step: int, size: int) -> Batch:
            return Batch(torch.full((1, 1, 4, 8, 8), torch.nan), torch.zeros(1, 4, 8, 8, dtype=torch.long))

    network = network_of(toy_spec())
    before = [p.clone() for p in network.parameters()]
    learner = Learner(network, Poison(), TrainingNumbers(bf16=False), LossSettings())  # type: ignore[arg-type]
    assert math.isnan(learner.step(0, 0.0))
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_outputs_that_exist_are_refused_before_training(data: Path, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    with pytest.raises(WriteError) as caught:
        _train(_settings(data, tmp_path / "m"))
    assert caught.value.code == "exists"
    with pytest.raises(WriteError, match="no model folder"):
        _train(_settings(data, tmp_path / "m", overwrite=True))


def test_an_existing_model_is_replaced_when_asked(data: Path, tmp_path: Path) -> None:
    _train(_settings(data, tmp_path / "m", steps=3))
    before = ModelFolder.load(tmp_path / "m").sha256
    _train(_settings(data, tmp_path / "m", steps=3, seed=5, overwrite=True))
    assert ModelFolder.load(tmp_path / "m").sha256 != before


def test_without_recipe_and_split_everything_is_planned_from_the_data(data: Path, tmp_path: Path) -> None:
    settings = _settings(data, tmp_path / "m", steps=2, recipe=None, split=None, network="segresnet")
    result = _train(settings)[-1]
    spec = ModelFolder.load(tmp_path / "m").spec
    assert spec.network.name == "segresnet"
    assert spec.patch_kji == (16, 16, 16)
    assert spec.spacing_kji_mm == (1.0, 1.0, 1.0)
    assert spec.orientation == "RAS"
    assert len(result["test_cases"]) >= 1


def test_a_patch_too_small_for_the_network_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too small"):
        _train(_settings(data, tmp_path / "m", steps=2, recipe=None, network="basic_unet"))


def test_the_classic_network_trains_on_slices(data: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "flat.toml"
    recipe.write_text(
        '[preprocessing]\ndimensions = 2\npatch_kji = [1, 12, 12]\n[network]\nname = "classic_unet"\nwidth = 4\n'
        "depth = 1\n[training]\nbf16 = false\nfold = 0.3\n"
    )
    _train(_settings(data, tmp_path / "m", steps=3, recipe=recipe))
    spec = ModelFolder.load(tmp_path / "m").spec
    assert (spec.dimensions, spec.patch_kji[0], spec.orientation) == (2, 1, None)


def test_mixed_precision_is_left_where_its_gradients_are_not_reproducible(data: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "half.toml"
    recipe.write_text(TOY_RECIPE.replace("bf16 = false", "bf16 = true").replace("[4, 8]", "[8, 16, 32, 32]"))
    for name in ("a", "b"):
        _train(_settings(data, tmp_path / name, steps=3, recipe=recipe))
    a, b = (load_file(tmp_path / name / "weights.safetensors") for name in "ab")
    assert all(np.array_equal(a[name], b[name]) for name in a)


def test_small_pieces_do_not_count_where_the_model_removes_them(data: Path, tmp_path: Path) -> None:
    for name, size in (("keep", 0), ("drop", 4000)):
        recipe = tmp_path / f"{name}.toml"
        recipe.write_text(TOY_RECIPE + f"[[post_processing]]\nlabel = 1\nminimum_size_mm3 = {size}\n")
        _train(_settings(data, tmp_path / name, steps=25, recipe=recipe))
    kept, dropped = (
        ModelFolder.load(tmp_path / name).spec.metrics["test"]["mean"]["dice"] for name in ("keep", "drop")
    )
    assert kept["mean"] > 0.1
    assert dropped["mean"] == 0


def test_budgets_are_steps_or_seconds() -> None:
    for wrong in ({}, {"steps": 3, "seconds": 2.0}, {"steps": -1}, {"seconds": math.inf}):
        with pytest.raises(UsageError):
            Budget(**wrong)
    assert Budget(steps=10).progress(5, 99.0) == 0.5
    assert Budget(seconds=10.0).progress(5, 2.5) == 0.25
    assert Budget(seconds=100.0).steps_expected(10, 20.0) == 50
    assert (Budget(seconds=5.0).looks(20), Budget(steps=1000).looks(20)) == (1, 20)


def test_dice_of_classes_leaves_ignored_voxels_out_and_is_undefined_where_both_are_empty() -> None:
    drawn = np.array([1, 1, 2, 0, 2], np.uint8)
    truth = np.array([1, 2, 2, 0, 255], np.uint8)
    assert class_dices(drawn, truth, 3) == [2 / 3, 2 / 3, None]


def test_the_interval_covers_the_mean_of_patients_not_of_cases() -> None:
    values = np.array([0.9, 0.9, 0.9, 0.5])
    narrow = bootstrap_ci(values, ["a", "b", "c", "d"])
    clustered = bootstrap_ci(values, ["a", "a", "a", "b"])
    assert narrow is not None
    assert clustered is not None
    assert narrow[0] < values.mean() < narrow[1]
    assert clustered == [0.5, 0.9]
    assert bootstrap_ci(values, ["a"] * 4) is None


def test_undefined_scores_are_counted_and_left_out() -> None:
    spec = toy_spec()
    scores = [CaseDice("a", "a", {7: 0.8}), CaseDice("=b", "b", {7: None}, began_as_model=True)]
    told = summary(scores, spec)
    assert told["labels"]["7"]["dice"]["mean"] == 0.8
    assert told["labels"]["7"]["dice"]["n_undefined"] == 1
    assert told["began_as_model"] == ["=b"]
    assert as_csv(scores, spec).splitlines()[2] == "'=b,,,yes"
    assert summary([], spec)["mean"]["dice"]["mean"] is None
