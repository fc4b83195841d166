from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from segdesk.core.progress import Cancelled, silent
from segdesk.errors import UsageError
from segdesk.nn.fit import Budget
from segdesk.nn.split import stratified_folds
from segdesk.nn.train import TrainSettings, train
from segdesk.zoo.model_folder import ModelFolder
from tests.nn.toy_sets import TOY_RECIPE, nnunet_set

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Cases 4 and 5 are of one patient.
    patients = {f"case_{n:02d}": f"p{min(n, 4)}" for n in range(6)} | {"case_06": "p6", "case_07": "p7"}
    root = nnunet_set(tmp_path_factory.mktemp("folds"), range(8), patients)
    rows = "".join(f"case_{n:02d},{'test' if n > 5 else 'train'}\n" for n in range(8))
    (root / "split.csv").write_text("case,split\n" + rows)
    (root / "toy.toml").write_text(TOY_RECIPE)
    return root


def _settings(data: Path, out: Path, **changes: Any) -> TrainSettings:
    values: dict[str, Any] = {"folds": 2, "device": "cpu", "threads": 1}
    return TrainSettings(data, out, Budget(steps=4), data / "toy.toml", "", data / "split.csv", **(values | changes))


def _train(settings: TrainSettings, report: Any = silent) -> list[Mapping[str, Any]]:
    events: list[Mapping[str, Any]] = []
    train(settings, events.append, report)
    return events


def test_folds_become_one_model_and_every_training_case_is_scored_by_a_member_that_did_not_see_it(
    data: Path, tmp_path: Path
) -> None:
    events = _train(_settings(data, tmp_path / "m"))
    folder = ModelFolder.load(tmp_path / "m")
    assert folder.spec.members == 2
    assert {event["fold"] for event in events if event["event"] == "validation"} == {1, 2}
    scores = list(csv.DictReader((folder.path / "cross_validation_scores.csv").read_text().splitlines()))
    assert sorted(row["case"] for row in scores) == [f"case_{n:02d}" for n in range(6)]
    assert folder.spec.metrics["cross_validation"]["cases"] == 6
    assert events[-1]["test_cases"] == ["case_06", "case_07"]
    assert folder.spec.training is not None
    assert len(folder.spec.training.training_cases) == 6
    log = list(csv.DictReader((folder.path / "training_log.csv").read_text().splitlines()))
    assert {row["fold"] for row in log} == {"1", "2"}
    card = (folder.path / "MODEL_CARD.md").read_text()
    assert "## Cross-validation" in card
    assert "--folds 2" in card
    assert "Fold 2:" in card


def test_one_fold_alone_is_the_member_of_the_whole(data: Path, tmp_path: Path) -> None:
    _train(_settings(data, tmp_path / "both"))
    _train(_settings(data, tmp_path / "second", fold=2))
    both, second = (load_file(tmp_path / name / "weights.safetensors") for name in ("both", "second"))
    assert all(np.array_equal(both[f"members.1.{name}"], value) for name, value in second.items())
    spec = ModelFolder.load(tmp_path / "second").spec
    assert spec.members == 1
    assert spec.training is not None
    trained, chosen = spec.training.training_cases, spec.training.validation_cases
    assert len(trained) + len(chosen) == 6
    assert not {case.patient_key for case in trained} & {case.patient_key for case in chosen}


def test_a_cross_validation_that_was_stopped_goes_on_with_the_fold_it_was_in(data: Path, tmp_path: Path) -> None:
    _train(_settings(data, tmp_path / "whole"))

    def interrupt(done: int, total: int, text: str = "") -> None:
        if text.startswith("Fold 2: Training, step 2"):
            raise Cancelled

    with pytest.raises(Cancelled):
        _train(_settings(data, tmp_path / "broken"), interrupt)
    steps: list[str] = []
    _train(_settings(data, tmp_path / "broken"), lambda done, total, text="": steps.append(text))
    assert not any(text.startswith("Fold 1: Training") for text in steps)
    whole, broken = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "broken"))
    assert all(np.array_equal(whole[name], broken[name]) for name in whole)


@pytest.mark.parametrize(
    "wrong", [{"folds": 1}, {"folds": 17}, {"folds": -2}, {"folds": 3, "fold": 4}, {"fold": 1, "folds": 0}]
)
def test_folds_that_do_not_exist_are_refused(data: Path, tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        _settings(data, tmp_path / "m", **wrong)


def test_more_folds_than_patients_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="6 folds of 5"):
        _train(_settings(data, tmp_path / "m", folds=6))


def test_folds_are_of_equal_size_and_spread_what_matters() -> None:
    features = {f"p{n}": (float(n % 3 == 0), n / 100) for n in range(31)}
    folds = stratified_folds(features, 5)
    assert sorted(len(fold) for fold in folds) == [6, 6, 6, 6, 7]
    assert frozenset.union(*folds) == set(features)
    assert sum(len(fold) for fold in folds) == 31
    rare = [sum(features[key][0] for key in fold) for fold in folds]
    assert max(rare) - min(rare) <= 1
    sizes = [np.mean([features[key][1] for key in fold]) for fold in folds]
    assert max(sizes) - min(sizes) < 0.06
    assert stratified_folds(dict(reversed(features.items())), 5) == folds
