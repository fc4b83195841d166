"""What the browser says of a model, and how it is compared with a case."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from segdesk.core.geometry import Geometry
from segdesk.core.volume import Volume
from segdesk.session import TimeEstimate
from segdesk.session.model_fit import Fit, fit_of
from segdesk.ui.models.model_page import channel_text, estimate_text, limits_of, quiet_headings, scores_of
from segdesk.zoo.spec import Channel, Normalisation
from tests.zoo.folders import spec


def volume(shape: tuple[int, ...] = (4, 6, 6), spacing: float = 1.0, **changes: Any) -> Volume:
    return Volume(np.zeros(shape, np.float32), Geometry.from_spacing(shape[:3], (spacing,) * 3), **changes)


@pytest.mark.parametrize(
    ("changes", "channels", "fit", "words"),
    [
        ({}, None, Fit.UNKNOWN, ""),
        ({}, {"anything": volume()}, Fit.FITS, ""),
        ({"channels": (Channel(name="t1"), Channel(name="t2"))}, {"t1": volume()}, Fit.NOT, "needs the channels"),
        ({}, {"image": volume((1, 6, 6))}, Fit.NOT, "single slice"),
        ({"channels": (Channel(name="ct", modality="CT"),)}, {"i": volume(modality="MR")}, Fit.REMARK, "is MR"),
        ({"channels": (Channel(name="ct", modality="CT"),)}, {"i": volume()}, Fit.REMARK, "does not say"),
        ({"spacing_kji_mm": (1.0, 1.0, 1.0)}, {"i": volume(spacing=3.0)}, Fit.REMARK, "much coarser"),
        ({"spacing_kji_mm": (1.0, 1.0, 1.0)}, {"i": volume(spacing=1.5)}, Fit.FITS, ""),
    ],
)  # fmt: skip
def test_a_model_is_compared_with_the_open_case(
    changes: dict[str, Any], channels: dict[str, Volume] | None, fit: Fit, words: str
) -> None:
    found = fit_of(spec(**changes), channels)
    assert found.fit is fit
    assert words in " ".join(found.reasons)


def test_unknown_spacing_orientation_and_time_are_told() -> None:
    grid = Geometry((4, 6, 6), np.eye(4), orientation_known=False, spacing_known=False)
    strict = spec(spacing_kji_mm=(1.0, 1.0, 1.0), orientation="RAS")
    found = fit_of(strict, {"i": Volume(np.zeros((4, 6, 6), np.float32), grid)})
    assert found.fit is Fit.REMARK
    assert len(found.reasons) == 2
    movie = Volume(np.zeros((3, 4, 6, 6), np.float32), Geometry.from_spacing((4, 6, 6)), time_points=3)
    assert "3 time points" in fit_of(strict, {"i": movie}).reasons[0]


def test_scores_are_those_of_the_metrics_and_nothing_is_made_up() -> None:
    dice = {"mean": 0.9, "ci95": [0.8, 0.95], "n": 31}
    metrics = {"test": {"labels": {"1": {"name": "a", "dice": dice}, "2": {"name": "b", "dice": {"mean": 0.5}}}}}
    assert [f"{score.name}: {score.text}" for score in scores_of(metrics)] == [
        "a: Dice 0.900 (95 % interval 0.800 to 0.950), n = 31",
        "b: Dice 0.500",
    ]
    for odd in ({}, {"test": 3}, {"test": {"labels": {"1": 2, "2": {"dice": {"mean": "x"}}}}}):
        assert scores_of(odd) == ()


@pytest.mark.parametrize(
    ("seconds", "windows", "runs", "text"),
    [
        (3.04, 1, 1, "About 3.0 s on CPU: 1 window, from 1 earlier run of these weights here."),
        (42.0, 6, 9, "About 42 s on CPU: 6 windows, from 9 earlier runs of these weights here."),
    ],
)
def test_an_estimate_names_its_source(seconds: float, windows: int, runs: int, text: str) -> None:
    assert estimate_text(TimeEstimate(seconds, windows, runs, "cpu")) == text
    assert "timed just now" in estimate_text(TimeEstimate(600.0, windows, 0, "cpu"))


def test_limits_come_from_the_card_as_paragraphs() -> None:
    card = "# Title\n\n## Limits\n\nOne\nline.\n\n- Two\n  lines\n* Three\n\nSHA-256 of it\n\n## Next\n\nMore\n"
    assert limits_of(card) == "One line.\nTwo lines\nThree"
    assert limits_of("# Title\n") == ""
    assert quiet_headings("# A\n## B\n### C\n#no") == "#### A\n#### B\n### C\n#no"


def test_a_channel_says_how_its_intensities_are_scaled() -> None:
    window = Normalisation(kind="window", low=-57, high=164, mean=0, std=1)
    assert channel_text(Channel(name="ct", modality="CT", normalisation=window)) == "ct (CT), clipped to -57 … 164"
    assert channel_text(Channel(name="x")) == "x (any modality), scaled to mean 0, deviation 1"
