"""Models one can start from, and those a project has made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from segdesk.core.progress import Progress
from segdesk.store.records import MaskRole, ModelRecord

if TYPE_CHECKING:
    from segdesk.store.project import Project


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model one can start from.

    Parameters
    ----------
    reference : str
        What `Teaching.start` is told: a folder.
    name : str
        Shown: "hippocampus-unet3d@1".
    title : str
        One line about it.
    is_champion : bool
        Whether the project uses it now.
    weights_sha256 : str
        What identifies it.
    """

    reference: str
    name: str
    title: str
    is_champion: bool
    weights_sha256: str


@dataclass(frozen=True, slots=True)
class LineageRow:
    """One model the project has made or used."""

    name: str
    created: datetime
    verdict: str
    parent: str
    is_champion: bool
    weights_sha256: str


@dataclass(frozen=True, slots=True)
class ModelListing:
    """What is known of models on disk and in the project.

    Parameters
    ----------
    choices : tuple of ModelChoice
        On disk, usable; the champions first.
    lineage : tuple of LineageRow
        Of the project, newest first.
    can_roll_back : bool
        Whether a champion has a predecessor.
    imported : frozenset of str
        Ids of cases with an imported reference mask.
    """

    choices: tuple[ModelChoice, ...] = ()
    lineage: tuple[LineageRow, ...] = ()
    can_roll_back: bool = False
    imported: frozenset[str] = frozenset()


def list_models(project: Project | None, report: Progress) -> ModelListing:
    """Look for models on disk and read the lineage of a project; slow, for a task."""
    # Loaded in the worker: checking model folders needs a library that takes longer than a frame.
    from segdesk.zoo.catalogue import scan_models

    report(0, 2, "Looking for models")
    found = scan_models(() if project is None else (project.models_folder,)).models
    report(1, 2, "Reading the lineage")
    records = () if project is None else project.models.all()
    champions, can_roll_back = _champions(project, records)
    choices = (
        ModelChoice(
            str(model.path), f"{model.spec.name}@{model.spec.version}", model.spec.title, model.sha256 in champions,
            model.sha256,
        )
        for model in found
    )  # fmt: skip
    ordered = sorted(choices, key=lambda choice: not choice.is_champion)
    return ModelListing(tuple(ordered), _lineage(records, champions), can_roll_back, _imported(project))


def _imported(project: Project | None) -> frozenset[str]:
    cases = () if project is None else project.cases()
    return frozenset(case.id for case in cases if project and project.masks.of_case(case.id, MaskRole.REFERENCE))


def _champions(project: Project | None, records: tuple[ModelRecord, ...]) -> tuple[set[str], bool]:
    """Return the weights of the champions, and whether one of them has a predecessor."""
    champions: set[str] = set()
    can_roll_back = False
    for name in {record.name for record in records}:
        history = project.models.promotions(name) if project else ()
        if history:
            champions.add(history[-1].model.weights_sha256)
            can_roll_back = can_roll_back or len({entry.model.id for entry in history}) > 1
    return champions, can_roll_back


def _lineage(records: tuple[ModelRecord, ...], champions: set[str]) -> tuple[LineageRow, ...]:
    names = {record.weights_sha256: record.name for record in records}
    return tuple(
        LineageRow(
            record.folder.name,
            record.created,
            record.verdict,
            names.get(record.parent_sha256 or "", ""),
            record.weights_sha256 in champions,
            record.weights_sha256,
        )
        for record in reversed(records)
    )
