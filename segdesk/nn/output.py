"""The model folder a training leaves: weights, card, recipe, log, curve, scores."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import save
from torch import Tensor

from segdesk.nn.fit import Budget
from segdesk.nn.folds import Member
from segdesk.nn.learning_curve import curve_png, log_csv, story
from segdesk.nn.recipe import Recipe
from segdesk.nn.scoring import CaseDice, as_csv
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.spec import ModelSpec
from segdesk.zoo.writer import write_model_folder

_LIMITS = (
    "The score holds for images like those of the data set. Other scanners, protocols, ages and diseases "
    "were not measured; check every mask."
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything a model folder is made of.

    Parameters
    ----------
    spec : ModelSpec
        Complete but for the weights' hash.
    weights : mapping of str to Tensor
        Of the network.
    recipe : Recipe
        What was asked for.
    members : tuple of Member
        The way there, of every network in the weights.
    scores : tuple of CaseDice
        On the test part.
    command : str
        The command line that did it.
    plan : tuple of str
        What was planned from the data, in words.
    """

    spec: ModelSpec
    weights: Mapping[str, Tensor]
    recipe: Recipe
    members: tuple[Member, ...]
    scores: tuple[CaseDice, ...]
    command: str
    plan: tuple[str, ...] = ()


def as_stored(weights: Mapping[str, Tensor], recipe: Recipe) -> dict[str, Tensor]:
    """Return the weights as the file will hold them; where the recipe asks for it, rounded to float16.

    Rounding moves a weight by 0.05 % at most, one below 6e-5 by up to 3e-8. A tensor with a number
    beyond float16 keeps its type.
    """
    if not recipe.half_precision:
        return dict(weights)
    return {name: tensor.half() if _fits_half(tensor) else tensor for name, tensor in weights.items()}


def _fits_half(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and bool((tensor.abs() <= torch.finfo(torch.float16).max).all())


def write_model(folder: Path, outcome: Outcome, *, overwrite: bool) -> ModelFolder:
    """Write the folder: whole, or not at all."""
    extras: dict[str, Path | bytes | str] = {
        "training_log.csv": log_csv(outcome.members),
        "learning_curve.png": curve_png(outcome.members, outcome.spec),
        "test_scores.csv": as_csv(outcome.scores, outcome.spec),
    }
    across = [score for member in outcome.members for score in member.scores]
    if across:
        extras["cross_validation_scores.csv"] = as_csv(across, outcome.spec)
    if outcome.recipe.text:
        extras["recipe.toml"] = outcome.recipe.text
    payload = save({name: tensor.contiguous() for name, tensor in sorted(outcome.weights.items())})
    text = card(outcome, hashlib.sha256(payload).hexdigest())
    return write_model_folder(folder, outcome.spec, payload, text, extras, overwrite=overwrite)


class Settings(Protocol):
    """What the command lines of `train` and `finetune` have in common."""

    @property
    def out(self) -> Path: ...  # noqa: D102
    @property
    def budget(self) -> Budget: ...  # noqa: D102
    @property
    def recipe(self) -> Path | None: ...  # noqa: D102
    @property
    def split(self) -> Path | None: ...  # noqa: D102
    @property
    def device(self) -> str: ...  # noqa: D102
    @property
    def seed(self) -> int: ...  # noqa: D102
    @property
    def threads(self) -> int: ...  # noqa: D102


def command_line(words: Sequence[str], settings: Settings) -> str:
    """Return the command that repeats a run; files by their names, so that no one's folders are published."""
    line = ["segdesk", *words, "--out", settings.out.name]
    line += ["--recipe", settings.recipe.name] if settings.recipe else []
    line += ["--split", settings.split.name] if settings.split else []
    budget = settings.budget
    line += ["--steps", str(budget.steps)] if budget.steps else ["--time-budget", f"{budget.seconds:g}"]
    line += ["--device", settings.device, "--seed", str(settings.seed)]
    return shlex.join([*line, *(["--threads", str(settings.threads)] if settings.threads else [])])


INTENSITIES = (
    "An image enters training and prediction through the same reader: stored values times the file's own slope plus "
    "intercept (DICOM RescaleSlope and RescaleIntercept of each slice, NIfTI scl_slope and scl_inter). Private scaling "
    "of a vendor is never applied. Each channel is then normalised as model.json says."
)
"""What the card says of intensities: the policy for MR, whose scale differs from scanner to scanner."""


def card(outcome: Outcome, weights_sha256: str) -> str:
    """Return the model card, Markdown; every figure in it was measured in this run."""
    spec, training = outcome.spec, outcome.spec.training
    lines = [f"# {spec.title}", "", "For research use only; not a medical device.", "", "## Data", ""]
    if training is not None:
        lines += [
            f"{training.dataset}. Licence of the data: {training.licence}.",
            f"{len(training.training_cases)} cases trained the weights, {_choosers(outcome)}, "
            f"{len(outcome.scores)} were kept apart for the score below.",
        ]
    lines += ["", "## Labels", "", *(f"- {label.value}: {label.name}" for label in spec.labels)]
    lines += ["", "## Intensities", "", INTENSITIES]
    if outcome.plan:
        lines += ["", "## Plan", "", *(f"- {sentence}" for sentence in outcome.plan)]
    lines += ["", "## Training", "", "```", outcome.command, "```", "", _how(outcome), ""]
    lines += ["![Learning curve](learning_curve.png)", "", "## Score", "", *_score_lines(outcome), ""]
    lines += _across_lines(outcome)
    lines += ["## Limits", "", _LIMITS, "", f"SHA-256 of weights.safetensors: `{weights_sha256}`"]
    return "\n".join(lines) + "\n"


def _choosers(outcome: Outcome) -> str:
    if len(outcome.members) > 1:
        return "each fold of them chose the state of the network that did not train on it"
    chosen_by = outcome.spec.training.validation_cases if outcome.spec.training else ()
    return f"{len(chosen_by)} chose the state that was kept"


def _how(outcome: Outcome) -> str:
    network, members = outcome.spec.network, outcome.members
    files = "model.json, recipe.toml, training_log.csv" if outcome.recipe.text else "model.json, training_log.csv"
    stored = " The weights are stored, and were scored, in half precision." if outcome.recipe.half_precision else ""
    lines = [f"{network.name} {dict(network.parameters)}. Numbers: {files}.{stored}", ""]
    if len(members) == 1:
        return "\n".join([*lines, story(members[0].fitted)])
    lines.append(
        f"{len(members)} networks, whose probabilities are averaged; each was chosen on the fold it did not see."
    )
    return "\n".join([*lines, "", *(f"- Fold {member.fold}: {story(member.fitted)}" for member in members)])


def _score_lines(outcome: Outcome) -> list[str]:
    test: Any = outcome.spec.metrics.get("test")
    if not outcome.scores or not test:
        return ["No case was kept apart: this model has no score."]
    lines = [*_table(test), "", "Per case: test_scores.csv. The interval is a bootstrap over patients."]
    fused: Any = outcome.spec.metrics.get("test_three_views")
    if fused:
        lines += ["", "The same cases with three views averaged (`--views three`); above, slice by slice:", ""]
        lines += _table(fused)
    return lines


def _across_lines(outcome: Outcome) -> list[str]:
    across: Any = outcome.spec.metrics.get("cross_validation")
    if not across:
        return []
    note = (
        "Each case was segmented by the network that did not train on it; as the same cases chose that network's "
        "state, these figures flatter it a little. Per case: cross_validation_scores.csv."
    )
    return ["## Cross-validation", "", *_table(across), "", note, ""]


def _table(metrics: Any) -> list[str]:
    lines = ["| label | mean Dice | 95 % interval | median | worst | n |", "|---|---|---|---|---|---|"]
    rows: dict[str, Any] = {row["name"]: row["dice"] for row in metrics["labels"].values()}
    for name, row in {**rows, "mean over labels": metrics["mean"]["dice"]}.items():
        cells = [row["mean"], row["ci95"], row["median"], row["worst"], row["n"]]
        lines.append(f"| {name} | " + " | ".join(_cell(cell) for cell in cells) + " |")
    return lines


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return " to ".join(f"{each:.3f}" for each in value)
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
