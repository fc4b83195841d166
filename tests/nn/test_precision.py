"""What bf16 does to a model's scores is measured on its own cases, and kept with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from segdesk.core.progress import silent
from segdesk.nn import precision
from segdesk.nn.fit import Budget
from segdesk.nn.precision import MOST_CASES, half_precision_change, half_precision_record, moves_little
from segdesk.nn.scoring import CaseDice
from segdesk.nn.train import TrainSettings, train
from segdesk.zoo.model_folder import ModelFolder
from tests.nn.toy_sets import TOY_RECIPE, nnunet_set
from tests.nn.toys import many_labels, toy_spec

torch.set_num_threads(1)

NETWORK = torch.nn.Conv3d(1, 3, 1)
SPEC = toy_spec(labels=many_labels([1, 2]))


@dataclass(frozen=True)
class Scores:
    """Dice of labels 1 and 2 of each case, in both precisions."""

    full: Sequence[tuple[float | None, float | None]]
    half: Sequence[tuple[float | None, float | None]]

    def __call__(self, network: Any, spec: Any, cases: Sequence[Any], *_: Any, bf16: bool = False) -> list[CaseDice]:
        rows = (self.half if bf16 else self.full)[: len(cases)]
        return [CaseDice(f"case {n}", "p", dict(zip((1, 2), row, strict=True))) for n, row in enumerate(rows)]

    def record(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        """Return what is recorded of as many cases."""
        monkeypatch.setattr(precision, "score_cases", self)
        monkeypatch.setattr(precision, "computes_bf16", lambda device: True)
        cases: list[Any] = [object()] * len(self.full)
        return half_precision_record(NETWORK, SPEC, cases, [])


def test_the_label_that_moves_most_counts_not_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Scores([(0.9, 0.8), (0.7, 0.6)], [(0.904, 0.796), (0.7, 0.6)]).record(monkeypatch)
    assert found == {
        "bf16": {
            "cases": 2,
            "mean_dice": pytest.approx(0.75),
            "mean_dice_fp32": pytest.approx(0.75),
            "largest_change": pytest.approx(0.002),
        }
    }
    assert not moves_little(SPEC.model_copy(update={"metrics": found}))


def test_a_thousandth_is_allowed_in_either_direction(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Scores([(0.9, 0.5)], [(0.901, 0.499)]).record(monkeypatch)
    spec = SPEC.model_copy(update={"metrics": found})
    assert half_precision_change(spec) == pytest.approx(0.001)
    assert moves_little(spec)


@pytest.mark.parametrize("half", [(0.9, 0.0), (None, None)])
def test_a_label_that_one_precision_alone_draws_cannot_be_compared(
    half: tuple[float | None, float | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Scores([(0.9, None), (0.8, 0.5)], [half, (0.8, 0.5)]).record(monkeypatch)
    assert found["bf16"]["largest_change"] is None
    assert not moves_little(SPEC.model_copy(update={"metrics": found}))


def test_cases_without_any_label_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Scores([(None, None)], [(None, None)]).record(monkeypatch)
    assert found == {"bf16": {"cases": 1, "mean_dice": None, "mean_dice_fp32": None, "largest_change": None}}


def test_of_many_cases_the_first_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(0.9, 0.9)] * (MOST_CASES + 5)
    assert Scores(rows, rows).record(monkeypatch)["bf16"]["cases"] == MOST_CASES


def test_scores_that_are_known_are_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = Scores([], [(0.8, 0.7)])
    monkeypatch.setattr(precision, "score_cases", scores)
    monkeypatch.setattr(precision, "computes_bf16", lambda device: True)
    known = [CaseDice("case 0", "p", {1: 0.8, 2: 0.75})]
    cases: list[Any] = [object()]
    assert half_precision_record(NETWORK, SPEC, cases, known)["bf16"]["largest_change"] == pytest.approx(0.05)


def test_nothing_is_recorded_without_cases_or_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    assert half_precision_record(NETWORK, SPEC, [], []) == {}
    monkeypatch.setattr(precision, "computes_bf16", lambda device: False)
    cases: list[Any] = [object()]
    assert half_precision_record(NETWORK, SPEC, cases, []) == {}


def test_training_records_what_bf16_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "computes_bf16", lambda device: True)
    recipe = tmp_path / "toy.toml"
    recipe.write_text(TOY_RECIPE)
    settings = TrainSettings(nnunet_set(tmp_path / "data"), tmp_path / "toy", Budget(steps=8), recipe, device="cpu")
    train(settings, lambda event: None, silent)
    spec = ModelFolder.load(tmp_path / "toy").spec
    record: Any = spec.metrics["bf16"]
    test: Any = spec.metrics["test"]
    assert record["cases"] == test["cases"]
    assert record["mean_dice_fp32"] == pytest.approx(test["mean"]["dice"]["mean"], abs=1e-5)
    assert record["largest_change"] == pytest.approx(abs(record["mean_dice"] - record["mean_dice_fp32"]), abs=2e-6)
    assert moves_little(spec) is (record["largest_change"] <= 0.001)
