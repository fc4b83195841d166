"""What a scanned folder offers, and which of it becomes a case."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from segdesk.core.events import Signal
from segdesk.core.progress import Lane, Progress, Task
from segdesk.errors import SegdeskError, code_named
from segdesk.io import scan
from segdesk.io.series import Refusal, ScanResult, SeriesEntry, SeriesKind
from segdesk.store.records import CaseRecord
from segdesk.ui.models.columns import Column
from segdesk.ui.models.number_text import UNDEFINED, count, size_kji

if TYPE_CHECKING:
    from segdesk.store.project import Project

KIND_WORDS = {
    SeriesKind.VOLUME: "Volume",
    SeriesKind.STACK: "Separate slices",
    SeriesKind.IMAGE2D: "2D image",
    SeriesKind.CINE: "Film over time",
    SeriesKind.SERIES4D: "Volume over time",
}


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """One series of the folder.

    Parameters
    ----------
    entry : SeriesEntry
        As scanned.
    name : str
        Name the case would get; it tells nothing of the patient.
    path : Path
        What is opened: the file, or the folder together with the series' uid.
    series_uid : str
        Series inside the folder, "" for a file of its own.
    """

    entry: SeriesEntry
    name: str
    path: Path
    series_uid: str

    @property
    def remarks(self) -> tuple[str, ...]:
        """Everything one must know before opening it."""
        refusal = () if self.entry.refusal is None else (refusal_text(self.entry.refusal),)
        return (*refusal, *(warning.message for warning in self.entry.warnings))


class SeriesChoice:
    """Rows of a scan, which of them are chosen, and what could not be opened.

    Signals
    -------
    changed
        The choice is another.
    """

    changed = Signal()

    def __init__(self, result: ScanResult, taken_names: Iterable[str] = ()) -> None:
        self.result = result
        self.rows = _rows(result, set(taken_names))
        # Stacks stay unchosen: someone should have read why they are no volume.
        self._chosen = {row.entry.uid for row in self.rows if row.entry.refusal is None}

    @property
    def chosen(self) -> tuple[SeriesRow, ...]:
        """The rows that will be added, in the order shown."""
        return tuple(row for row in self.rows if row.entry.uid in self._chosen)

    def is_chosen(self, row: SeriesRow) -> bool:
        """Whether a row will be added."""
        return row.entry.uid in self._chosen

    def choose(self, row: SeriesRow, chosen: bool) -> None:
        """Add a row to the choice or take it out."""
        if chosen != self.is_chosen(row):
            self._chosen ^= {row.entry.uid}
            self.changed.emit()

    @property
    def is_simple(self) -> bool:
        """Whether there is nothing to ask: one series, no remarks, nothing refused."""
        return len(self.rows) == 1 and not self.rows[0].remarks and not self.result.refused

    def refusals(self) -> tuple[str, ...]:
        """Return a sentence for everything that could not be opened, with what to do."""
        return tuple(refusal_text(refusal) for refusal in self.result.refused)

    def skipped_text(self) -> str:
        """Return what was passed over: "3 files are no images and were skipped."; "" for nothing."""
        if not self.result.skipped:
            return ""
        verb = "is no image and was" if self.result.skipped == 1 else "are no images and were"
        return f"{count(self.result.skipped, 'file')} {verb} skipped."


def refusal_text(refusal: Refusal) -> str:
    """Return why something was refused, how many files it concerns, and what to do."""
    message = refusal.message.rstrip(".")
    return f"{message} ({count(refusal.files, 'file')}). {code_named(refusal.code).what_to_do}"


@dataclass(frozen=True, slots=True)
class Added:
    """What came of adding series: the cases, and a sentence for each that failed."""

    cases: tuple[CaseRecord, ...]
    problems: tuple[str, ...]


def look_through(path: Path) -> Task[ScanResult | None]:
    """Return the task that scans a file or folder; its result is None for a project.

    Raises
    ------
    ReadError
        From the task: what `segdesk.io.scan` raises.
    """

    def work(report: Progress) -> ScanResult | None:
        # Loaded in the worker: the database library alone takes longer than a frame.
        from segdesk.store.project import Project

        return None if Project.is_project(path) else scan(path, report)

    return Task(f"Looking through {path.name}", Lane.CPU, work)


def add_series(project: Project, rows: Sequence[SeriesRow]) -> Task[Added]:
    """Return the task that adds each row as a case; one that fails does not stop the others."""

    def work(report: Progress) -> Added:
        cases: list[CaseRecord] = []
        problems: list[str] = []
        for number, row in enumerate(rows):
            report(number, len(rows), f"Adding {row.name}")
            try:
                cases.append(project.add_case(row.name, {"image": row.path}, series_uid=row.series_uid))
            except SegdeskError as error:
                problems.append(f"{row.name}: {error.message}")
        return Added(tuple(cases), tuple(problems))

    return Task(f"Adding {count(len(rows), 'case')}", Lane.DISK, work)


def _rows(result: ScanResult, taken: set[str]) -> tuple[SeriesRow, ...]:
    rows = []
    for entry in result.series:
        file = result.path if result.path.is_file() else result.path / entry.uid
        is_file = entry.files == 1 and file.is_file() and entry.uid.split("/")[-1] == file.name
        name = _free_name(_stem(file.name) if is_file else entry.description or result.path.name, taken)
        taken.add(name)
        rows.append(SeriesRow(entry, name, file if is_file else result.path, "" if is_file else entry.uid))
    return tuple(rows)


def _stem(name: str) -> str:
    return name.removesuffix(".gz").rsplit(".", 1)[0] if "." in name else name


def _free_name(wanted: str, taken: set[str]) -> str:
    clean = " ".join(wanted.split()) or "case"
    number, name = 1, clean
    while name in taken:
        number += 1
        name = f"{clean} {number}"
    return name


def _first_remark(row: SeriesRow) -> str:
    remarks = row.remarks
    return "" if not remarks else remarks[0] if len(remarks) == 1 else f"{len(remarks)} remarks"


SERIES_COLUMNS: tuple[Column[SeriesRow], ...] = (
    Column("Name", lambda row: row.name, width_px=216),
    Column("Modality", lambda row: row.entry.modality or UNDEFINED, width_px=72),
    Column("Kind", lambda row: KIND_WORDS[row.entry.kind], width_px=144),
    Column(
        "Size", lambda row: size_kji(row.entry.shape_kji, row.entry.spacing_kji_mm), width_px=248,
        help="Columns × rows × slices in voxels, and the distance of voxel centres in mm",
    ),
    Column("Axes", lambda row: row.entry.orientation, width_px=80, help="Directions of the i, j and k axes"),
    Column(
        "Files", lambda row: str(row.entry.files), lambda row: float(row.entry.files), is_number=True, width_px=56
    ),
    Column("Remarks", _first_remark, tip=lambda row: "\n".join(row.remarks), width_px=0),
)  # fmt: skip
"""The table of the series browser from left to right."""
