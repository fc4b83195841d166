"""The events of a training run, parsed once into values, and told in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from segdesk.ui.models.number_text import count, duration, fixed


class Verdict(StrEnum):
    """What the gate found on the test patients."""

    BETTER = "better"
    TIE = "tie"
    WORSE = "worse"
    CANNOT_JUDGE = "cannot_judge"


HEADLINES = {
    Verdict.BETTER: "The new model is better",
    Verdict.TIE: "No difference found",
    Verdict.WORSE: "The new model is worse",
    Verdict.CANNOT_JUDGE: "Cannot be judged yet",
}
"""A verdict in plain words."""


@dataclass(frozen=True, slots=True)
class LossPoint:
    """Training loss at a step."""

    step: int
    steps: int
    loss: float
    seconds: float
    seconds_left: float


@dataclass(frozen=True, slots=True)
class DicePoint:
    """Mean Dice on the validation cases at a step; `by_label` in the order of the label values."""

    step: int
    dice: float
    by_label: Mapping[str, float] = field(default_factory=dict)
    n_cases: int = 0


@dataclass(frozen=True, slots=True)
class GateResult:
    """Champion against challenger, as the gate reports it."""

    verdict: Verdict
    reason: str
    champion_dice: float
    challenger_dice: float
    test_cases: tuple[str, ...]
    promoted: bool
    model: str
    difference: tuple[float, float, float] | None = None
    """Paired difference and its 95 % confidence interval (mean, low, high); None when not computed."""
    test_patients: int = 0
    began_as_model: tuple[str, ...] = ()
    """Test cases whose reference began as a model's own draft."""

    @property
    def headline(self) -> str:
        """The verdict in plain words."""
        return HEADLINES[self.verdict]


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the log a clinician reads."""

    text: str
    is_problem: bool = False


Event = LossPoint | DicePoint | GateResult | Told


def parse_event(event: Mapping[str, Any]) -> tuple[Event, ...]:
    """Turn one JSON line of a training child into values; unknown events are told as they are.

    Parameters
    ----------
    event : mapping
        ``{"event": "progress|validation|checkpoint|result|...", ...}`` as in CONTRACT.
    """
    parse = _PARSERS.get(str(event.get("event")))
    return parse(event) if parse else _unknown(event)


def _progress(event: Mapping[str, Any]) -> tuple[Event, ...]:
    step, steps = int(number(event, "step", 0)), int(number(event, "steps", 0))
    point = LossPoint(step, steps, number(event, "loss"), number(event, "seconds"), number(event, "seconds_left"))
    text = event.get("text") or event.get("message")
    return (point,) if math.isfinite(point.loss) else (Told(str(text)),) if text else ()


def _validation(event: Mapping[str, Any]) -> tuple[Event, ...]:
    dice = number(event, "dice", number(event, "mean_dice"))
    by_label = event.get("labels") or event.get("dice_by_label") or {}
    labels = {str(name): _dice_of(value) for name, value in by_label.items()}
    point = DicePoint(int(number(event, "step", 0)), dice, labels, int(number(event, "n_cases", 0)))
    on = f" on {count(point.n_cases, 'validation case')}" if point.n_cases else ""
    return point, Told(f"Step {point.step}: Dice {fixed(dice)}{on}.")


def _checkpoint(event: Mapping[str, Any]) -> tuple[Event, ...]:
    step, best = int(number(event, "step", 0)), int(number(event, "best_step", -1))
    if best < 0:
        # Without validation cases nothing says which state is better.
        return (Told(f"Step {step} is saved."),)
    return (Told(f"Step {step} is the best state so far and is kept."),) if best == step else ()


def _result(event: Mapping[str, Any]) -> tuple[Event, ...]:
    if "verdict" not in event:
        return (Told("Training finished."),)
    verdict = Verdict(str(event["verdict"]))
    result = GateResult(
        verdict,
        str(event.get("reason", "")),
        _mean_dice(event.get("champion")),
        _mean_dice(event.get("challenger")),
        tuple(str(name) for name in event.get("test_cases") or ()),
        bool(event.get("promoted", False)),
        str(event.get("model", "")),
        _difference(event),
        int(number(event, "test_patients", 0)),
        tuple(str(name) for name in event.get("began_as_model") or ()),
    )
    return result, Told(f"{result.headline}. {result.reason}".strip(), is_problem=verdict is Verdict.WORSE)


def _error(event: Mapping[str, Any]) -> tuple[Event, ...]:
    error = event.get("error", event)
    message = error.get("message", "") if isinstance(error, Mapping) else str(error)
    return (Told(message or "Training failed; the log in the run's folder says more.", is_problem=True),)


def _warning(event: Mapping[str, Any]) -> tuple[Event, ...]:
    return (Told(str(event.get("message") or event.get("text") or ""), is_problem=True),)


def _unknown(event: Mapping[str, Any]) -> tuple[Event, ...]:
    text = event.get("text") or event.get("message")
    return (Told(str(text)),) if text else ()


_PARSERS = {
    "progress": _progress,
    "validation": _validation,
    "checkpoint": _checkpoint,
    "result": _result,
    "error": _error,
    "warning": _warning,
}


def number(event: Mapping[str, Any], key: str, default: float = math.nan) -> float:
    """Return a number of an event; `default` where it is absent or null."""
    value = event.get(key)
    return float(value) if isinstance(value, int | float) else default


def _dice_of(value: object) -> float:
    if isinstance(value, Mapping):
        return number(value, "dice")
    return float(value) if isinstance(value, int | float) else math.nan


def _mean_dice(metrics: object) -> float:
    """Return the mean Dice of a metrics object, wherever its depth puts it."""
    if not isinstance(metrics, Mapping):
        return math.nan
    dice = metrics.get("dice", metrics.get("mean_dice"))
    if isinstance(dice, Mapping):
        return number(dice, "mean")
    if isinstance(dice, int | float):
        return float(dice)
    return _mean_dice(metrics.get("mean"))


def _difference(event: Mapping[str, Any]) -> tuple[float, float, float] | None:
    raw = event.get("difference")
    if isinstance(raw, Mapping):
        low, high = raw.get("ci95") or (raw.get("low"), raw.get("high"))
        raw = (raw.get("mean"), low, high)
    if not isinstance(raw, Sequence) or len(raw) != 3 or not all(isinstance(x, int | float) for x in raw):
        return None
    return float(raw[0]), float(raw[1]), float(raw[2])


def progress_text(point: LossPoint) -> str:
    """Return where a run stands: "step 120 of 400 · 1:05 left"."""
    where = f"step {point.step} of {point.steps}" if point.steps else f"step {point.step}"
    left = f" · {duration(point.seconds_left)} left" if math.isfinite(point.seconds_left) else ""
    return where + left
