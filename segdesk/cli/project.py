"""`segdesk project`: make a project, add images, look at it, check it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from segdesk.cli.console import Console, Json, Page, Refused
from segdesk.cli.files import require_exists, stem_of
from segdesk.cli.options import JsonOption, QuietOption
from segdesk.errors import SegdeskError, StoreError, UsageError
from segdesk.io import scan
from segdesk.store.project import Project
from segdesk.store.records import CaseRecord, CaseSummary

FolderArgument = Annotated[Path, typer.Argument(help="The project's folder.", show_default=False)]
SourcesArgument = Annotated[list[Path], typer.Argument(help="Image files or folders.", show_default=False)]


def create(
    folder: FolderArgument,
    name: Annotated[str, typer.Option(help="Shown in the title; the folder's name by default.")] = "",
    reads: Annotated[int, typer.Option(help="Reads a case needs before anybody sees the others'.", min=1)] = 3,
    json: JsonOption = False,
) -> None:
    """Create a project in a new or empty folder."""
    if folder.is_dir() and any(folder.iterdir()):
        raise StoreError(f"{folder} is not empty; choose a new folder.", code="exists", path=folder)
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder} is a file; choose a new folder.", code="exists", path=folder)
    project = Project.create(folder, name or folder.absolute().name, required_reads=reads)
    try:
        payload = {"project": project.folder, "name": project.name, "required_reads": project.required_reads}
    finally:
        project.close()
    Console(json=json, quiet=True).show(payload, lambda page: page.line(f"{payload['name']}: {payload['project']}"))


def add(
    folder: FolderArgument,
    sources: SourcesArgument,
    patient: Annotated[str, typer.Option(help="Groups the cases of one patient; never a name.")] = "",
    as_stack: Annotated[bool, typer.Option(help="Take what is no regular volume as slices with a place each.")] = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Add images as cases; a folder with several series becomes several cases."""
    console = Console(json=json, quiet=quiet)
    require_exists(*sources)
    found = [case for source in sources for case in _cases_in(source)]
    with _opened(folder) as project, console.progress("Adding images") as report:
        added: list[CaseRecord] = []
        for number, (name, path, series_uid) in enumerate(found):
            report(number, len(found), f"Adding {name}")
            try:
                record = project.add_case(
                    name, {"image": path}, patient_key=patient, series_uid=series_uid, as_stack=as_stack
                )
            except SegdeskError as error:
                raise Refused(error, {"added": [_case_json(case) for case in added]}) from error
            added.append(record)
    payload = {"project": project.folder, "added": [_case_json(case) for case in added]}
    console.show(payload, lambda page: _cases_page(page, added))


def status(folder: FolderArgument, json: JsonOption = False) -> None:
    """Show the cases: reads done, drafts, disputes; and what became of each model's drafts."""
    with _opened(folder) as project:
        summaries = project.case_summaries()
        raters = project.raters.all()
        payload = {
            "project": project.folder,
            "name": project.name,
            "required_reads": project.required_reads,
            "cases": [_summary_json(each) for each in summaries],
            "raters": [{"name": r.name, "kind": r.kind.value, "weight": r.weight} for r in raters],
            "drafts": [asdict(counts) for counts in project.judgements.counts()],
        }
    Console(json=json, quiet=True).show(payload, lambda page: _status_page(page, payload, summaries))


def verify(folder: FolderArgument, json: JsonOption = False) -> None:
    """Check the chains of votes and judgements and the content of every mask; exit code 2 when something is wrong."""
    with _opened(folder) as project:
        problems = project.verify()
        payload = {"project": project.folder, "ok": not problems, "problems": list(problems)}
    if problems:
        message = f"{len(problems)} problems; the first: {problems[0]}"
        raise Refused(StoreError(message, path=folder), payload)
    Console(json=json, quiet=True).show(
        payload, lambda page: page.line(f"{folder}: votes, judgements and masks are whole.")
    )


@contextmanager
def _opened(folder: Path) -> Iterator[Project]:
    project = Project.open(folder)
    try:
        yield project
    finally:
        project.close()


def _cases_in(source: Path) -> list[tuple[str, Path, str]]:
    """Return name, path and series of each case in a file or folder; the names tell no patient."""
    found = scan(source)
    if not found.images:
        reason = found.refused[0].message if found.refused else "there is no image in it."
        code = found.refused[0].code if found.refused else "empty"
        raise UsageError(f"{source}: {reason}", code=code, path=source)
    stem = stem_of(source.absolute())
    if len(found.images) == 1:
        return [(stem, source, "")]
    return [(f"{stem}-{n}", source, series.uid) for n, series in enumerate(found.images, 1)]


def _case_json(case: CaseRecord) -> Json:
    return {"id": case.id, "name": case.name, "modality": case.modality, "shape_kji": case.shape_kji}


def _summary_json(summary: CaseSummary) -> Json:
    return {
        **_case_json(summary.case),
        "status": summary.status.value,
        "reads_done": summary.reads_done,
        "reads_needed": summary.reads_needed,
        "has_draft": summary.has_draft,
        "disputes": summary.disputes,
    }


def _cases_page(page: Page, cases: Sequence[CaseRecord]) -> None:
    page.table(("Added", "Modality", "Shape (k, j, i)"), [(c.name, c.modality, _shape(c)) for c in cases])


def _status_page(page: Page, payload: Json, summaries: Sequence[CaseSummary]) -> None:
    page.heading(f"{payload['name']}: {len(summaries)} cases")
    rows = [
        (
            each.case.name,
            each.case.modality,
            _shape(each.case),
            each.status.value,
            f"{each.reads_done} of {each.reads_needed}",
            "yes" if each.has_draft else "no",
            each.disputes,
        )
        for each in summaries
    ]
    page.table(("Case", "Modality", "Shape (k, j, i)", "Status", "Reads", "Draft", "Disputes"), rows)
    if payload["drafts"]:
        page.line()
        names = ("model", "accepted", "accepted_in_part", "rejected", "open")
        decided = [tuple(counts[name] for name in names) for counts in payload["drafts"]]
        page.table(("Drafts by", "Accepted", "In part", "Rejected", "Not decided"), decided)


def _shape(case: CaseRecord) -> str:
    return " x ".join(str(n) for n in case.shape_kji)
