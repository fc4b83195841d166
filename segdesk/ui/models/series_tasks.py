"""Looking through folders and adding what was chosen, away from the window's thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from segdesk.core.progress import Lane, Progress, Task
from segdesk.errors import NeedsConsent, SegdeskError
from segdesk.io import scan
from segdesk.io.series import ScanResult
from segdesk.store.records import CaseRecord
from segdesk.ui.models.number_text import count
from segdesk.ui.models.series_choice import SeriesRow

if TYPE_CHECKING:
    from segdesk.store.project import Project


@dataclass(frozen=True, slots=True)
class Added:
    """What came of adding series: the cases, a sentence for each that failed, and what needs consent."""

    cases: tuple[CaseRecord, ...]
    problems: tuple[str, ...]
    too_large: tuple[SeriesRow, ...] = ()
    consent: NeedsConsent | None = None


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
        too_large: list[SeriesRow] = []
        consent = None
        for number, row in enumerate(rows):
            report(number, len(rows), f"Adding {row.name}")
            try:
                case = project.add_case(row.name, {"image": row.path}, series_uid=row.series_uid, as_stack=row.is_stack)
            except NeedsConsent as error:
                consent = error
                too_large.append(row)
            except SegdeskError as error:
                problems.append(f"{row.name}: {error.message}")
            else:
                cases.append(case)
        return Added(tuple(cases), tuple(problems), tuple(too_large), consent)

    return Task(f"Adding {count(len(rows), 'case')}", Lane.DISK, work)
