"""Running a model on a case and storing what it drew: shared by the open case and the queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from segdesk.core.box import Box
from segdesk.core.labels import LabelMap
from segdesk.core.prediction import PredictOptions, Predictor
from segdesk.core.progress import Progress
from segdesk.core.provenance import Origin, OriginKind, Scalar
from segdesk.core.volume import Volume
from segdesk.session.candidate import Candidate
from segdesk.session.roi import parse_roi, roi_text
from segdesk.session.run_times import RunTimes
from segdesk.store.records import MaskRecord, MaskRole

if TYPE_CHECKING:
    from segdesk.store.project import Project
    from segdesk.zoo.model_folder import ModelFolder


@dataclass(frozen=True, slots=True)
class Drafting:
    """Drafts cases of a project; all of it is work for a task.

    Parameters
    ----------
    predictor : Predictor
        Runs models.
    times : RunTimes
        Keeps how long runs took.
    """

    predictor: Predictor
    times: RunTimes

    def draft(
        self,
        project: Project,
        case_id: str,
        channels: Mapping[str, Volume],
        folder: ModelFolder,
        options: PredictOptions,
        report: Progress,
    ) -> Candidate:
        """Run a model on the channels of a case and store its draft with the case."""
        prediction = self.predictor(channels, folder.path, options, report)
        self.times.note(folder.sha256, prediction.manifest, flips=options.flips)
        roi = options.roi or Box.whole(prediction.labels.geometry.shape_kji)
        labels = _with_origin(prediction.labels, folder, roi)
        record = project.masks.save(labels, case_id, MaskRole.CANDIDATE, None)
        return Candidate.of(folder.spec.name, record, labels, roi, prediction.manifest, folder.path)


def stored_candidate(project: Project, record: MaskRecord, like: LabelMap) -> Candidate:
    """Return a stored draft as a proposal again, on the grid of a mask of the case; work for a task."""
    labels = replace(project.masks.load(record.sha256), geometry=like.geometry)
    text = record.parameters.get("roi")
    roi = parse_roi(text) if isinstance(text, str) else Box.whole(labels.geometry.shape_kji)
    return Candidate.of(record.author, record, labels, roi, {})


def _with_origin(labels: LabelMap, folder: ModelFolder, roi: Box) -> LabelMap:
    """Return the prediction with the model and the region of interest in its origin."""
    parameters: dict[str, Scalar] = {**labels.origin.parameters, "roi": roi_text(roi), "model": folder.spec.name}
    origin = Origin(OriginKind.MODEL, folder.spec.identity, (), parameters, folder.sha256)
    return replace(labels, origin=origin)
