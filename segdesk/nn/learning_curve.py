"""The way of a training as a table, a picture and a few sentences."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from segdesk.nn.fit import Fitted, History
from segdesk.nn.folds import Member
from segdesk.zoo.spec import ModelSpec

_STILL_RISING, _GAIN = 0.9, 0.002
"""A last tenth of the run that gained more than this says that the run ended before the learning did."""

_FORGOTTEN = 0.01
"""A Dice this far below the best, at the end, is more than the noise from look to look."""


def log_csv(members: Sequence[Member]) -> str:
    """Return one row per look: step, mean loss since the last, Dice of the fold; with several networks, the fold."""
    histories = [(member.fold, member.fitted.history) for member in members]
    names = sorted({name for _, each in histories for _, _, row in each.scores for name in row}, key=int)
    has_folds = any(fold for fold, _ in histories)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    first = ["fold"] if has_folds else []
    writer.writerow([*first, "step", "loss", "fold_dice", *(f"fold_dice_{name}" for name in names)])
    for fold, history in histories:
        dice = {step: (mean, by_label) for step, mean, by_label in history.scores}
        for step, loss in history.losses:
            mean, by_label = dice.get(step, ("", {}))
            cells = [step, loss, mean, *(by_label.get(name, "") for name in names)]
            writer.writerow([fold, *cells] if has_folds else cells)
    return file.getvalue()


def curve_png(members: Sequence[Member], spec: ModelSpec) -> bytes:
    """Draw loss and fold Dice over the steps; thin lines where there are several networks."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    width = 1.8 if len(members) == 1 else 1.0
    for n, member in enumerate(members):
        history = member.fitted.history
        left.plot(*_columns(history.losses), color="#0072b2", linewidth=width, marker=_marker(history.losses))
        _draw_scores(right, history, spec, width, is_first=n == 0)
    left.set(xlabel="training step", ylabel="loss", title="Error on the training cases\n(lower is better)")
    right.set(xlabel="training step", ylabel="Dice", title="Agreement on cases it does not learn from\n(1 is perfect)")
    if any(member.fitted.history.scores for member in members):
        if len(spec.labels) <= 12:
            right.legend(loc="lower right", fontsize="small")
    else:
        right.text(0.5, 0.5, "No case was kept apart for this.", ha="center", transform=right.transAxes)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return file.getvalue()


def story(fitted: Fitted) -> str:
    """Tell in a few sentences how a training went and whether more of it may help."""
    history = fitted.history
    minutes = history.seconds / 60
    told = [
        f"{fitted.steps} steps in {minutes:.0f} min."
        if minutes >= 2
        else f"{fitted.steps} steps in {history.seconds:.0f} s."
    ]
    if len(history.losses) > 1:
        told.append(
            f"The error on the training cases went from {history.losses[0][1]:.3f} to {history.losses[-1][1]:.3f}."
        )
    if not history.scores:
        return " ".join([*told, "No case was there to choose a state by: the last one was kept."])
    (_, first, _), (_, last, _) = history.scores[0], history.scores[-1]
    told.append(f"The Dice on cases that train nothing was {first:.3f} at the first look; {_kept(history)}")
    if fitted.stopped_early:
        told.append("As no later look was better, the training ended before its budget was used.")
    elif _is_rising(fitted):
        told.append("It was still improving at the end: a longer training may help.")
    else:
        told.append(
            "It levelled off, as every training does whose steps become ever smaller; only a longer one could tell."
        )
    if last < history.best_dice - _FORGOTTEN:
        told.append(
            f"At the end it had fallen to {last:.3f}: the network began to learn its training cases by heart, "
            "and more cases would help most."
        )
    return " ".join(told)


def _is_rising(fitted: Fitted) -> bool:
    before = [dice for step, dice, _ in fitted.history.scores if step < _STILL_RISING * fitted.steps]
    return fitted.history.best_dice > max(before, default=0.0) + _GAIN


def _kept(history: History) -> str:
    return f"the best was {history.best_dice:.3f} at step {history.best_step}, and that state was kept."


def _draw_scores(axes: Axes, history: History, spec: ModelSpec, width: float, *, is_first: bool) -> None:
    for label in spec.labels:
        points = [(step, row[str(label.value)]) for step, _, row in history.scores if str(label.value) in row]
        colour = tuple(c / 255 for c in label.colour_rgb)
        name = label.name if is_first else None
        axes.plot(*_columns(points), label=name, color=colour, linewidth=width, marker=_marker(points))
    if history.scores:
        axes.axvline(history.best_step, color="#888888", linestyle=":", label="kept state" if is_first else None)


def _marker(points: Sequence[Any]) -> str:
    """Return a dot where a line alone would not be seen."""
    return "o" if len(points) == 1 else ""


def _columns(points: Any) -> tuple[list[float], list[float]]:
    return [point[0] for point in points], [point[1] for point in points]
