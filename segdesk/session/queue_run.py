"""Comparing a queued case with its model, and drafting it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segdesk.core.box import Box
from segdesk.core.progress import Cancelled, Progress
from segdesk.errors import SegdeskError
from segdesk.io.limits import allow_large
from segdesk.session.cached_predictor import cached_text
from segdesk.session.drafting import Drafting
from segdesk.session.model_choice import resolve_model
from segdesk.session.model_fit import Fit, ModelFit, fit_of, fit_of_case
from segdesk.session.queued_case import QueuedCase, QueueState
from segdesk.store.records import CaseRecord, MaskRecord, MaskRole

if TYPE_CHECKING:
    from segdesk.store.project import Project
    from segdesk.zoo.model_folder import ModelFolder


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the run of a case ended; errors are outcomes here, so that the queue goes on.

    Parameters
    ----------
    state : QueueState
        How.
    text : str
        For people.
    record : MaskRecord or None
        The stored draft.
    fit : ModelFit or None
        How the model suits the images, where they were read.
    """

    state: QueueState
    text: str = ""
    record: MaskRecord | None = None
    fit: ModelFit | None = None


def compare(project: Project, model: str | Path, cases: Sequence[CaseRecord], roi: Box | None) -> dict[str, ModelFit]:
    """Compare a model with cases by their records; empty for a model that cannot be opened: its run will say why."""
    try:
        spec = resolve_model(project, model).spec
    except SegdeskError:
        return {}
    return {case.id: fit_of_case(spec, case, roi) for case in cases}


def compared(row: QueuedCase, fit: ModelFit | None) -> QueuedCase:
    """Return an entry with what its record says of it; one that the model does not fit is left out."""
    if fit is None or not _is_unfit(fit):
        return replace(row, fit=fit)
    return replace(row, fit=fit, state=QueueState.UNFIT, text=fit.reasons[0])


def _is_unfit(fit: ModelFit) -> bool:
    return fit.fit is Fit.NOT or fit.needs_region


def run_queued(row: QueuedCase, project: Project, drafting: Drafting, report: Progress) -> Outcome:
    """Draft a case; errors of ours become its outcome."""
    try:
        folder = resolve_model(project, row.model)
        if not row.again and _has_draft(project, row, folder):
            return Outcome(QueueState.SKIPPED, "These weights have drafted it before.")
        # How large the images are was agreed to when they were added.
        with allow_large():
            channels = project.images.read_channels(row.case_id, report)
        fit = fit_of(folder.spec, channels, row.options.roi)
        if _is_unfit(fit) and not row.anyway:
            return Outcome(QueueState.UNFIT, fit.reasons[0], fit=fit)
        candidate = drafting.draft(project, row.case_id, channels, folder, row.options, report)
    except Cancelled:
        return Outcome(QueueState.CANCELLED)
    except SegdeskError as error:
        return Outcome(QueueState.FAILED, error.message)
    return Outcome(QueueState.DONE, _run_text(candidate.manifest), candidate.record)


def _has_draft(project: Project, row: QueuedCase, folder: ModelFolder) -> bool:
    drafts = project.masks.of_case(row.case_id, MaskRole.CANDIDATE)
    return any(draft.weights_sha256 == folder.sha256 for draft in drafts)


def _run_text(manifest: Mapping[str, Any]) -> str:
    seconds = manifest.get("seconds")
    total = seconds.get("total") if isinstance(seconds, dict) else None
    return cached_text(manifest) or (f"{total:.1f} s" if isinstance(total, float) else "")
