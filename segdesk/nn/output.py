"""The model folder a training leaves: weights, card, recipe, log, curve, scores."""

from __future__ import annotations

import csv
import hashlib
import io
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from safetensors.torch import save
from torch import Tensor

from segdesk.nn.fit import Budget, Fitted, History
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
    fitted : Fitted
        The way there.
    scores : tuple of CaseDice
        On the test part.
    command : str
        The command line that did it.
    """

    spec: ModelSpec
    weights: Mapping[str, Tensor]
    recipe: Recipe
    fitted: Fitted
    scores: tuple[CaseDice, ...]
    command: str


def write_model(folder: Path, outcome: Outcome, *, overwrite: bool) -> ModelFolder:
    """Write the folder: whole, or not at all."""
    history = outcome.fitted.history
    extras: dict[str, Path | bytes | str] = {
        "training_log.csv": log_csv(history),
        "learning_curve.png": curve_png(history, outcome.spec),
        "test_scores.csv": as_csv(outcome.scores, outcome.spec),
    }
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


def command_line(words: Sequence[str], settings: Settings) -> str:
    """Return the command that repeats a run; files by their names, so that no one's folders are published."""
    line = ["segdesk", *words, "--out", settings.out.name]
    line += ["--recipe", settings.recipe.name] if settings.recipe else []
    line += ["--split", settings.split.name] if settings.split else []
    budget = settings.budget
    line += ["--steps", str(budget.steps)] if budget.steps else ["--time-budget", f"{budget.seconds:g}"]
    return shlex.join([*line, "--device", settings.device, "--seed", str(settings.seed)])


def log_csv(history: History) -> str:
    """Return one row per validation: step, mean loss since the last, Dice of the fold."""
    dice = {step: (mean, by_label) for step, mean, by_label in history.scores}
    names = sorted({name for _, by_label in dice.values() for name in by_label}, key=int)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["step", "loss", "fold_dice", *(f"fold_dice_{name}" for name in names)])
    for step, loss in history.losses:
        mean, by_label = dice.get(step, ("", {}))
        writer.writerow([step, loss, mean, *(by_label.get(name, "") for name in names)])
    return file.getvalue()


def curve_png(history: History, spec: ModelSpec) -> bytes:
    """Draw loss and fold Dice over the steps."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    left.plot(*_columns(history.losses), color="#0072b2")
    left.set(xlabel="step", ylabel="training loss", title="Loss")
    for label in spec.labels:
        points = [(step, row[str(label.value)]) for step, _, row in history.scores if str(label.value) in row]
        right.plot(*_columns(points), label=label.name, color=tuple(c / 255 for c in label.colour_rgb))
    right.set(xlabel="step", ylabel="Dice on the fold", title="Dice while training")
    if history.best_step:
        right.axvline(history.best_step, color="#888888", linestyle=":", label="kept")
    if history.scores and len(spec.labels) <= 12:
        right.legend(loc="lower right", fontsize="small")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return file.getvalue()


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
            f"{len(training.training_cases)} cases trained the weights, {len(training.validation_cases)} chose the "
            f"state that was kept, {len(outcome.scores)} were kept apart for the score below.",
        ]
    lines += ["", "## Labels", "", *(f"- {label.value}: {label.name}" for label in spec.labels)]
    lines += ["", "## Intensities", "", INTENSITIES]
    lines += ["", "## Training", "", "```", outcome.command, "```", "", _how(outcome), ""]
    lines += ["![Learning curve](learning_curve.png)", "", "## Score", "", *_score_lines(outcome), ""]
    lines += ["## Limits", "", _LIMITS, "", f"SHA-256 of weights.safetensors: `{weights_sha256}`"]
    return "\n".join(lines) + "\n"


def _how(outcome: Outcome) -> str:
    history, network = outcome.fitted.history, outcome.spec.network
    kept = f"kept: step {history.best_step}, fold Dice {history.best_dice:.4f}"
    if not history.scores:
        kept = "kept: the last step, as no case was there to choose by"
    return (
        f"{network.name} {dict(network.parameters)}, {outcome.fitted.steps} steps in {history.seconds:.0f} s; "
        f"{kept}. Numbers: model.json, recipe.toml, training_log.csv."
    )


def _score_lines(outcome: Outcome) -> list[str]:
    test: Any = outcome.spec.metrics.get("test")
    if not outcome.scores or not test:
        return ["No case was kept apart: this model has no score."]
    lines = ["| label | mean Dice | 95 % interval | median | worst | n |", "|---|---|---|---|---|---|"]
    rows: dict[str, Any] = {row["name"]: row["dice"] for row in test["labels"].values()}
    for name, row in {**rows, "mean over labels": test["mean"]["dice"]}.items():
        cells = [row["mean"], row["ci95"], row["median"], row["worst"], row["n"]]
        lines.append(f"| {name} | " + " | ".join(_cell(cell) for cell in cells) + " |")
    return [*lines, "", "Per case: test_scores.csv. The interval is a bootstrap over patients."]


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return " to ".join(f"{each:.3f}" for each in value)
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


def _columns(points: Any) -> tuple[list[float], list[float]]:
    return [point[0] for point in points], [point[1] for point in points]
