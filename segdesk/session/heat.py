"""Heat over the open case: where a model is unsure, and what spoke for a label."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdesk.core.box import Box, Index3
from segdesk.core.events import Property
from segdesk.core.explanation import ExplainMethod, ExplainOptions
from segdesk.core.inside import Inside, InsideOptions, Insight
from segdesk.core.prediction import PredictOptions, Predictor, Uncertainty
from segdesk.core.progress import Lane, Progress, Task
from segdesk.errors import UsageError, WorkerError
from segdesk.session.model_choice import resolve_model
from segdesk.session.run_times import RunTimes, TimeEstimate
from segdesk.session.state import SessionState
from segdesk.zoo.spec import ModelSpec

UNCERTAINTY_TITLES = {
    Uncertainty.ENTROPY: "Uncertainty (entropy)",
    Uncertainty.FLIPS: "Uncertainty (mirrored copies)",
}
METHOD_TITLES = {
    ExplainMethod.GRADCAM: "Grad-CAM",
    ExplainMethod.GUIDED_BACKPROP: "Guided backpropagation",
    ExplainMethod.GUIDED_GRADCAM: "Guided Grad-CAM",
}
HeatKind = Uncertainty | ExplainMethod


@dataclass(frozen=True, slots=True, eq=False)
class HeatMap:
    """A number per voxel of the open case, to be shown over it; never a mask.

    Parameters
    ----------
    kind : Uncertainty or ExplainMethod
        What the numbers are.
    title : str
        In words: "Grad-CAM: Anterior hippocampus".
    model : str
        Whose.
    heat : ndarray of float32, shape (K, J, I)
        0 to 1, or -1 to 1 when signed.
    peak_kji : tuple of int, optional
        Where the largest magnitude is; None where all is 0.
    manifest : mapping
        Of the run.
    """

    kind: HeatKind
    title: str
    model: str
    heat: NDArray[np.float32] = field(repr=False)
    peak_kji: Index3 | None
    manifest: Mapping[str, Any]

    @classmethod
    def of(
        cls, kind: HeatKind, title: str, model: str, heat: NDArray[np.float32], manifest: Mapping[str, Any]
    ) -> HeatMap:
        """Find the peak of a map; slow, for a task."""
        return cls(kind, title, model, heat, _peak_kji(heat), manifest)

    @property
    def is_signed(self) -> bool:
        """Whether negative numbers speak for darker, positive ones for brighter."""
        return self.kind in (ExplainMethod.GUIDED_BACKPROP, ExplainMethod.GUIDED_GRADCAM)

    @property
    def largest(self) -> float:
        """Largest magnitude there is."""
        return 0.0 if self.peak_kji is None else abs(float(self.heat[self.peak_kji]))


def mirror_problem(spec: ModelSpec) -> str:
    """Return why mirrored copies of an image tell nothing about a model, "" where they do.

    A network that never saw an image upside down is lost on one: its copies differ everywhere,
    which says nothing about how sure it is of the image itself.
    """
    if spec.flip_axes:
        return ""
    said = "does not say whether it was trained on mirrored images" if spec.flip_axes is None else _NEVER_MIRRORED
    return f"{spec.identity} {said}; copies of them would tell nothing. Look at its entropy."


_NEVER_MIRRORED = "was not trained on mirrored images"


class Heat:
    """Makes heat maps of the open case, looks into models, tells what a run will take.

    Attributes
    ----------
    shown : Property of HeatMap or None
        What lies over the open case; gone with it.
    """

    def __init__(
        self, state: SessionState, predictor: Predictor | None, insight: Insight | None, times: RunTimes
    ) -> None:
        self._state = state
        self._predictor = predictor
        self._insight = insight
        self._times = times
        self.shown: Property[HeatMap | None] = Property(None)

    @property
    def is_available(self) -> bool:
        """Whether anything can open models here."""
        return self._insight is not None

    def uncertainty(
        self, model: str | Path, kind: Uncertainty, *, roi: Box | None = None, device: str = "auto"
    ) -> Task[HeatMap]:
        """Return the task that shows where a model is unsure; `FLIPS` runs it on mirrored copies.

        Raises
        ------
        UsageError
            If no case is open; from the task, if mirrored copies tell nothing (`mirror_problem`).
        WorkerError
            If the session has nothing that runs models.
        """
        case, project, predictor = self._state.require_case(), self._state.require_project(), self._predictor
        if predictor is None:
            raise WorkerError("This session cannot run models; start it with a predictor.")
        options = PredictOptions(device=device, roi=roi, flips=kind is Uncertainty.FLIPS, uncertainty=kind)

        def work(report: Progress) -> HeatMap:
            folder = resolve_model(project, model)
            problem = mirror_problem(folder.spec) if kind is Uncertainty.FLIPS else ""
            if problem:
                raise UsageError(problem)
            prediction = predictor(case.channels, folder.path, options, report)
            self._times.note(folder.sha256, prediction.manifest, flips=options.flips)
            return HeatMap.of(
                kind, UNCERTAINTY_TITLES[kind], folder.spec.identity, prediction.uncertainty, prediction.manifest
            )

        return self._showing(UNCERTAINTY_TITLES[kind], case.serial, work)

    def explain(
        self,
        model: str | Path,
        label: int,
        method: ExplainMethod,
        *,
        roi: Box | None = None,
        device: str = "auto",
    ) -> Task[HeatMap]:
        """Return the task that shows what spoke for a label.

        Raises
        ------
        UsageError
            If no case is open; from the task, if the model draws nothing of the label there.
        WorkerError
            If the session has nothing that opens models.
        """
        case, project, insight = self._state.require_case(), self._state.require_project(), self._require_insight()
        options = ExplainOptions(label, method, device, roi)

        def work(report: Progress) -> HeatMap:
            folder = resolve_model(project, model)
            found = insight.explain(case.channels, folder.path, options, report)
            title = f"{METHOD_TITLES[method]}: {folder.spec.label_table.name_of(label)}"
            return HeatMap.of(method, title, folder.spec.identity, found.heat, found.manifest)

        return self._showing(METHOD_TITLES[method], case.serial, work)

    def look_inside(
        self,
        model: str | Path,
        point_kji: Index3,
        axis: int = 0,
        *,
        layer: str = "",
        roi: Box | None = None,
        device: str = "auto",
    ) -> Task[Inside]:
        """Return the task that fetches filters and activation maps at a voxel; raises as `explain`."""
        case, project, insight = self._state.require_case(), self._state.require_project(), self._require_insight()
        options = InsideOptions(point_kji, axis, layer, device, roi)

        def work(report: Progress) -> Inside:
            return insight.look_inside(case.channels, resolve_model(project, model).path, options, report)

        return Task("Looking inside the network", Lane.INFERENCE, work)

    def estimate(self, model: str | Path, *, roi: Box | None = None, device: str = "auto") -> Task[TimeEstimate]:
        """Return the task that tells what a prediction of the open case will take; raises as `explain`.

        Past runs of the same weights on the same device give the time of a window; without
        any, one window is timed now.
        """
        case, project, insight = self._state.require_case(), self._state.require_project(), self._require_insight()
        options = PredictOptions(device=device, roi=roi)

        def work(report: Progress) -> TimeEstimate:
            folder = resolve_model(project, model)
            counted = insight.cost(case.channels, folder.path, options, report, calibrate=False)
            past = self._times.seconds_per_window(folder.sha256, counted.device, flips=False)
            if past is not None:
                return TimeEstimate(past[0] * counted.windows, counted.windows, past[1], counted.device)
            timed = insight.cost(case.channels, folder.path, options, report, calibrate=True)
            per_window = timed.seconds_per_window or 0.0
            return TimeEstimate(per_window * timed.windows, timed.windows, 0, timed.device)

        return Task("", Lane.INFERENCE, work)

    def forget(self) -> None:
        """Take the heat away: nobody wants it, or another case is on the desk."""
        self.shown.value = None

    def _require_insight(self) -> Insight:
        if self._insight is None:
            raise WorkerError("This session cannot open models; start it with an inference worker.")
        return self._insight

    def _showing(self, title: str, serial: int, work: Callable[[Progress], HeatMap]) -> Task[HeatMap]:
        def apply(heat: HeatMap) -> None:
            if self._state.is_current(serial):
                self.shown.value = heat

        return Task(title, Lane.INFERENCE, work, apply)


def _peak_kji(heat: NDArray[np.float32]) -> Index3 | None:
    if not heat.any():
        return None
    # Two passes instead of the magnitude, which would be a copy of the map.
    ends = int(heat.argmax()), int(heat.argmin())
    place = max(ends, key=lambda at: abs(float(heat.flat[at])))
    k, j, i = (int(x) for x in np.unravel_index(place, heat.shape))
    return k, j, i
