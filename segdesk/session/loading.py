"""Reading a project or a case off the owner's thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from segdesk.core.labels import Label, LabelMap, LabelTable
from segdesk.core.progress import Progress
from segdesk.core.volume import Volume
from segdesk.errors import UsageError
from segdesk.io import SeriesEntry, read_volume, scan
from segdesk.io.limits import allow_large
from segdesk.session.first_slice import FirstSlice, FirstSliceReader
from segdesk.session.settings import SessionSettings
from segdesk.session.view import ProjectView, read_view
from segdesk.store.places import is_project
from segdesk.store.records import CaseRecord, RaterRecord

if TYPE_CHECKING:
    from segdesk.store.images import ReadImage
    from segdesk.store.project import Project

IMAGE = "image"
"""Name of the one channel of a case that was opened by its path."""

ShowFirst = Callable[[FirstSlice], None]
"""Takes the first slice that can be looked at, in the thread that reads."""


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
    show: ShowFirst = lambda first: None,
) -> LoadedCase:
    """Read a case's images (unless they are there already) and the reader's working mask.

    The first slice that can be looked at goes to `show`.

    Raises
    ------
    NotFound, ReadError
        If there is no such case, or an image is missing or changed.
    """
    record = project.case(case_id)
    # How large they are was agreed to when they were added.
    with allow_large():
        read = FirstSliceReader(record.name, show)
        images = channels or project.images.read_channels(record.id, report, read)
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


@dataclass(frozen=True, slots=True)
class WantedImage:
    """An image to be opened as a case.

    Parameters
    ----------
    path : Path
        File or folder.
    series_uid : str
        Which series, where there are several.
    as_stack : bool
        Take a series that is no regular volume as slices with a place each.
    name : str
        Of the case, if it is new; after the path by default.
    entry : SeriesEntry, optional
        What a scan found there, where there was one.
    """

    path: Path
    series_uid: str = ""
    as_stack: bool = False
    name: str = ""
    entry: SeriesEntry | None = None


def load_image(
    project: Project, wanted: WantedImage, rater: RaterRecord, report: Progress, show: ShowFirst
) -> LoadedCase:
    """Read the case that shows an image, added to the project if new.

    Raises
    ------
    ReadError
        If the image cannot be read, or is another one than was recorded.
    """
    known = _case_of(project, wanted)
    if known is not None:
        return load_case(project, known.id, rater, report, show=show)
    name = _new_name(project, wanted)
    read = FirstSliceReader(name, show, wanted.entry)
    record = _added(project, name, wanted, report, read)
    # What was just read and recorded need not be read again to be compared with itself.
    channels = None if read.volume is None else {IMAGE: read.volume}
    return load_case(project, record.id, rater, report, channels)


def _case_of(project: Project, wanted: WantedImage) -> CaseRecord | None:
    place = wanted.path.absolute()
    for case in project.cases():
        first = case.channels[0]
        if first.path == place and (not wanted.series_uid or first.series_uid == wanted.series_uid):
            return case
    return None


def _added(
    project: Project, name: str, wanted: WantedImage, report: Progress, read: ReadImage = read_volume
) -> CaseRecord:
    channels = {IMAGE: wanted.path.absolute()}
    return project.add_case(
        name, channels, series_uid=wanted.series_uid, as_stack=wanted.as_stack, report=report, read=read
    )


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
    wanted = [WantedImage(path, uid) for uid in uids]
    return [_case_of(project, each) or _added(project, _new_name(project, each), each, report) for each in wanted]


def _new_name(project: Project, image: WantedImage) -> str:
    """Return the name that an image asks for, with a number if that is taken."""
    wanted = image.name or _stem(image.path.absolute())
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
