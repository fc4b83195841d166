"""What bfloat16 does to a model's own scores: measured once, when it is trained, and kept with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from segdesk.core.progress import Progress, silent
from segdesk.nn.dataset import LoadedCase
from segdesk.nn.engines.runner import computes_bf16
from segdesk.nn.scoring import CaseDice, score_cases
from segdesk.zoo.spec import ModelSpec

METRIC = "bf16"
"""Name of the record among the metrics of a model."""

LARGEST_CHANGE = 0.001
"""A mean Dice may move so far, of every label and over all, for bf16 to be used unasked."""

MOST_CASES = 20
"""Enough to tell a thousandth: both precisions see the same cases, so that their spread does not count."""


def half_precision_record(
    network: nn.Module,
    spec: ModelSpec,
    cases: Sequence[LoadedCase],
    full_scores: Sequence[CaseDice],
    report: Progress = silent,
) -> dict[str, Any]:
    """Score cases in float32 and in bfloat16 and return what to add to a model's metrics.

    Parameters
    ----------
    network : torch.nn.Module
        On its device.
    spec : ModelSpec
        What it draws.
    cases : sequence of LoadedCase
        Kept apart from the training of the weights; the first `MOST_CASES` are looked at.
    full_scores : sequence of CaseDice
        Of these cases in float32, in their order; empty where they were not scored yet.
    report : Progress
        Called per case.

    Returns
    -------
    dict
        ``{"bf16": {"cases", "mean_dice", "mean_dice_fp32", "largest_change"}}``, the change that of the label
        that moves most (None where the precisions cannot be compared); empty where there is no case, or the
        device has no bfloat16 instructions.
    """
    looked_at = list(cases[:MOST_CASES])
    if not looked_at or not computes_bf16(next(network.parameters()).device):
        return {}
    full = list(full_scores[:MOST_CASES]) or score_cases(network, spec, looked_at, report)
    half = score_cases(network, spec, looked_at, report, bf16=True)
    changes = [abs(a - b) for a, b in zip(_means(full, spec), _means(half, spec), strict=True)]
    # A label drawn in one precision alone where nobody drew it: its Dice is defined on one side only.
    is_comparable = bool(np.isfinite(changes).any()) and _defined(full) == _defined(half)
    record = {
        "cases": len(looked_at),
        "mean_dice": _rounded(_means(half, spec)[-1]),
        "mean_dice_fp32": _rounded(_means(full, spec)[-1]),
        "largest_change": _rounded(float(np.nanmax(changes))) if is_comparable else None,
    }
    return {METRIC: record}


def half_precision_change(spec: ModelSpec) -> float | None:
    """Return how far bf16 moves a model's own validation Dice; None where it was not measured."""
    record = spec.metrics.get(METRIC)
    change = record.get("largest_change") if isinstance(record, dict) else None
    if isinstance(change, bool) or not isinstance(change, int | float) or change < 0:
        return None
    return float(change)


def moves_little(spec: ModelSpec) -> bool:
    """Whether a model's own scores allow bf16 to be used unasked."""
    change = half_precision_change(spec)
    return change is not None and change <= LARGEST_CHANGE


def _means(scores: Sequence[CaseDice], spec: ModelSpec) -> list[float]:
    """Return the mean of each label and, last, of the cases' means; NaN where a label is nowhere."""
    columns = [[score.dice[label.value] for score in scores] for label in spec.labels]
    columns.append([score.mean for score in scores])
    return [_mean([value for value in column if value is not None]) for column in columns]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _defined(scores: Sequence[CaseDice]) -> list[list[bool]]:
    return [[value is not None for value in score.dice.values()] for score in scores]


def _rounded(value: float) -> float | None:
    return round(value, 6) if np.isfinite(value) else None
