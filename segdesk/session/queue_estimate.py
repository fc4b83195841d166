"""How long queued cases will take, told from their headers before any image is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from segdesk.core.box import Box
from segdesk.core.geometry import Grid
from segdesk.core.inside import Insight, WindowCost
from segdesk.core.prediction import PredictOptions
from segdesk.core.progress import Progress
from segdesk.core.volume import Volume
from segdesk.session.run_times import RunTimes

if TYPE_CHECKING:
    from segdesk.zoo.model_folder import ModelFolder


@dataclass(frozen=True, slots=True)
class CaseEstimate:
    """What a queued case will take.

    Parameters
    ----------
    windows : int
        Of the image or its region.
    seconds : float
        Expected for them.
    """

    windows: int
    seconds: float


_Key = tuple[str, str, Box | None, str]


@dataclass(frozen=True, slots=True)
class Estimator:
    """Counts windows and knows the time of one; cases on one grid are counted once.

    Parameters
    ----------
    insight : Insight
        Measures models.
    times : RunTimes
        Past runs.
    """

    insight: Insight
    times: RunTimes
    _counts: dict[_Key, WindowCost] = field(default_factory=dict)
    _seconds: dict[tuple[str, str], float] = field(default_factory=dict)

    def estimate(self, folder: ModelFolder, grid: Grid, options: PredictOptions, report: Progress) -> CaseEstimate:
        """Return the estimate; raises what the model raises on such an image."""
        channels = _stand_ins(folder, grid)
        key = (folder.sha256, grid.sha256(), options.roi, options.device)
        if key not in self._counts:
            self._counts[key] = self.insight.cost(channels, folder.path, options, report, calibrate=False)
        count = self._counts[key]
        return CaseEstimate(count.windows, count.windows * self._window_s(folder, channels, count, options, report))

    def _window_s(
        self,
        folder: ModelFolder,
        channels: Mapping[str, Volume],
        count: WindowCost,
        options: PredictOptions,
        report: Progress,
    ) -> float:
        """Return the seconds of a window: the median of past runs, else of one that is timed now."""
        past = self.times.seconds_per_window(folder.sha256, count.device, flips=options.flips)
        if past is not None:
            return past[0]
        known = (folder.sha256, count.device)
        if known not in self._seconds:
            timed = self.insight.cost(channels, folder.path, options, report, calibrate=True)
            self._seconds[known] = timed.seconds_per_window or 0.0
        return self._seconds[known]


def _stand_ins(folder: ModelFolder, grid: Grid) -> dict[str, Volume]:
    """Return images of zeros: windows depend on the grid alone, and reading the real ones takes long."""
    zeros = Volume(np.broadcast_to(np.uint8(0), grid.shape_kji), grid)
    return {name: replace(zeros) for name in folder.spec.channel_names}
