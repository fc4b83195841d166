"""Reading a project or a case off the owner's thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from segdesk.core.labels import Label, LabelMap, LabelTable
from segdesk.core.progress import Progress
from segdesk.core.volume import Volume
from segdesk.errors import UsageError
from segdesk.io import scan
from segdesk.io.limits import allow_large
from segdesk.session.settings import SessionSettings
from segdesk.session.view import ProjectView, read_view
from segdesk.store.places import is_project
from segdesk.store.records import CaseRecord, RaterRecord

if TYPE_CHECKING:
    from segdesk.store.project import Project


@dataclass(frozen=True, slots=True)
class LoadedProject:
    """A project that is about to be shown."""

    project: Project
    rater: RaterRecord
    view: ProjectView


@dataclass(frozen=True, slots=True, eq=False)
class LoadedCase:
    """A case that is about to be shown, with one reader's mask."""

    record: CaseRecord
    rater: RaterRecord
    channels: Mapping[str, Volume]
    labels: LabelMap
    parents: tuple[str, ...]
    saved: datetime | None
    view: ProjectView


def load_project(project: Project, settings: SessionSettings) -> LoadedProject:
    """Read the lists of a project; the session's reader is added to it if new."""
    known = {rater.name: rater for rater in project.raters.all()}
    rater = known.get(settings.rater_name) or project.raters.get_or_add(settings.rater_name)
    return LoadedProject(project, rater, read_view(project, None, rater))


def load_case(
    project: Project,
    case_id: str,
    rater: RaterRecord,
    report: Progress,
    channels: Mapping[str, Volume] | None = None,
) -> LoadedCase:
    """Read a case's images (unless they are there already) and the reader's working mask.

    Raises
    ------
    NotFound, ReadError
        If there is no such case, or an image is missing or changed.
    """
    record = project.case(case_id)
    # How large they are was agreed to when they were added.
    with allow_large():
        images = channels or project.images.read_channels(record.id, report)
    reference = next(iter(images.values()))
    mask = project.masks.working(record.id, rater.id)
    if mask is None:
        labels = LabelMap.empty(reference.geometry, LabelTable((Label.default(1),)))
    else:
        # The image's own grid object: equal to the stored one, and the one that tools compare with.
        labels = replace(project.masks.load(mask.sha256), geometry=reference.geometry)
    view = read_view(project, record.id, rater)
    parents, saved = (mask.parents, mask.created) if mask else ((), None)
    return LoadedCase(record, rater, images, labels, parents, saved, view)


def open_project(folder: Path) -> Project:
    """Open a project."""
    # Loaded when needed: SQLAlchemy takes a good part of what a window may take to appear.
    from segdesk.store.project import Project

    return Project.open(folder)


def create_project(folder: Path, name: str, required_reads: int) -> Project:
    """Make a project."""
    from segdesk.store.project import Project

    return Project.create(folder, name, required_reads=required_reads)


def desk_project(settings: SessionSettings) -> Project:
    """Open the user's desk project, made on first use; one read is enough there."""
    return open_project(settings.desk) if is_project(settings.desk) else create_project(settings.desk, "Desk", 1)


def case_of_image(
    project: Project, path: Path, series_uid: str, report: Progress, *, as_stack: bool = False, name: str = ""
) -> CaseRecord:
    """Return the case that shows this image, added to the project if new; `name` is the path's by default."""
    place = path.absolute()
    for case in project.cases():
        first = case.channels[0]
        if first.path == place and (not series_uid or first.series_uid == series_uid):
            return case
    free = _free_name(project, name or _stem(place))
    return project.add_case(free, {"image": place}, series_uid=series_uid, as_stack=as_stack, report=report)


def add_images(project: Project, path: Path, report: Progress) -> list[CaseRecord]:
    """Add a file, or each series of a folder, as a case.

    Raises
    ------
    UsageError
        With the code of the refusal when nothing there can be opened.
    """
    found = scan(path)
    if not found.images:
        refusal = found.refused[0] if found.refused else None
        message = "there is no image in it." if refusal is None else refusal.message
        raise UsageError(f"{path.name}: {message}", code="empty" if refusal is None else refusal.code, path=path)
    uids = [entry.uid for entry in found.images] if len(found.images) > 1 else [""]
    return [case_of_image(project, path, uid, report) for uid in uids]


def _free_name(project: Project, wanted: str) -> str:
    taken = {case.name for case in project.cases()}
    if wanted not in taken:
        return wanted
    return next(name for number in range(2, len(taken) + 3) if (name := f"{wanted}-{number}") not in taken)


def _stem(path: Path) -> str:
    """Return the file name without its extensions, a folder's name as it is."""
    if path.is_dir():
        return path.name
    stem = path.name
    for ending in (".gz", ".nii", ".nrrd", ".mha", ".mhd", ".dcm", ".png", ".tif", ".tiff", ".jpg", ".jpeg"):
        stem = stem[: -len(ending)] if stem.lower().endswith(ending) else stem
    return stem or path.name
