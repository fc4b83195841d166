"""`segdesk demo`: the whole main job on a sample."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from segdesk.cli.console import Console, Json, Page
from segdesk.cli.options import JsonOption, OverwriteOption, QuietOption
from segdesk.demo.camera import Camera, NoCamera
from segdesk.demo.folder import mark, prepare_folder, write_report
from segdesk.demo.page import document_of
from segdesk.demo.story import Demo, DemoOutcome, DemoSettings
from segdesk.errors import SaveFailed, Warn, WorkerError
from segdesk.report.render import render
from segdesk.session import ScoreEntry, Session
from segdesk.workers.inference import InferenceWorker
from segdesk.workers.module_command import module_command
from segdesk.workers.training import TrainingWorker
from segdesk.zoo.catalogue import find_model

PLATFORM_VARIABLE = "QT_QPA_PLATFORM"


def demo(
    headless: Annotated[bool, typer.Option("--headless", help="Do not open the window at the end.")] = False,
    dir: Annotated[Path, typer.Option(help="New folder for the project, the report and the pictures.")] = Path(
        "segdesk-demo"
    ),
    model: Annotated[str, typer.Option(help="3D model for the two hippocampus boxes.")] = "hippocampus-unet3d",
    seconds: Annotated[float, typer.Option(help="Budget of the fine-tuning loop in seconds.", min=0.1)] = 10.0,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make a sample project, play the whole main job on it, and write a report with pictures."""
    console = Console(json=json, quiet=quiet)
    chosen = find_model(model)
    chosen.verify()
    prepare_folder(dir, overwrite=overwrite)
    settings = DemoSettings(dir.absolute(), chosen.path.absolute(), _untrained(dir.absolute()), seconds)
    if not headless and not has_display():
        console.note("There is no display, so the demo runs headless.")
        headless = True
    outcome = _play(settings, console)
    report = write_report(settings.folder, render(document_of(outcome, settings)))
    mark(settings.folder, finished=True)
    payload = _payload(outcome, settings, report)
    console.show(payload, lambda page: _page(page, payload))
    if not headless:
        subprocess.call(module_command("segdesk", str(outcome.project)))


def has_display() -> bool:
    """Whether a window could be seen here."""
    if os.environ.get(PLATFORM_VARIABLE) in ("offscreen", "minimal", "vnc"):
        return False
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _untrained(folder: Path) -> Path:
    """Make the 2D model in a child process: torch never enters this one, which may become the window's."""
    target = folder / "models" / "classic-unet-untrained"
    done = subprocess.run(
        module_command("segdesk.nn.untrained", str(target)), capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise WorkerError(f"The 2D network could not be made ({last[:200]}).")
    return target


def _play(settings: DemoSettings, console: Console) -> DemoOutcome:
    predictor = InferenceWorker()
    try:
        session = Session(predictor, TrainingWorker())
        try:
            camera = _camera(session, settings.folder / "pictures", console)
            try:
                return Demo(session, settings, camera, console.note).run()
            finally:
                camera.close()
        finally:
            # A stroke that was under way when the demo failed is no loss; the failure is what must be told.
            with suppress(SaveFailed):
                session.close()
    finally:
        predictor.close()


def _camera(session: Session, folder: Path, console: Console) -> Camera:
    """Return a camera on the real window, drawn offscreen; none where Qt cannot be loaded."""
    folder.mkdir()
    before = os.environ.get(PLATFORM_VARIABLE)
    os.environ[PLATFORM_VARIABLE] = "offscreen"
    try:
        from segdesk.demo.window_camera import WindowCamera

        return WindowCamera(session, folder)
    except ImportError as error:
        console.warn([Warn("no_pictures", f"No pictures are taken: {error}.")])
        return NoCamera()
    finally:
        if before is None:
            del os.environ[PLATFORM_VARIABLE]
        else:
            os.environ[PLATFORM_VARIABLE] = before


def _payload(outcome: DemoOutcome, settings: DemoSettings, report: Path) -> Json:
    sheet = outcome.sheet
    return {
        "folder": settings.folder,
        "project": outcome.project,
        "report": report,
        "pictures": [photo.path for photo in outcome.photos.values()],
        "readers": [{"name": name, "kind": "simulated", "strokes": n} for name, n in outcome.strokes.items()],
        "drafts": outcome.drafts,
        "consensus": {method: merge.consensus.to_json() for method, merge in outcome.merges.items()},
        "disputes": len(outcome.merges["staple"].disputes),
        "scores": [] if sheet is None else [_entry_json(entry) for entry in sheet.entries],
        "finetune": dict(outcome.verdict),
        "slice": outcome.slice_draft,
        "seconds": {**outcome.seconds, "total": sum(outcome.seconds.values())},
        "warnings": [{"code": "simulated", "message": "The readers are simulated; nobody read this scan."}],
    }


def _entry_json(entry: ScoreEntry) -> Json:
    return {"name": entry.name, "kind": entry.kind.value, "notes": entry.notes, **entry.scores.to_json()}


def _page(page: Page, payload: Json) -> None:
    page.heading(f"Done in {payload['seconds']['total']:.0f} s. The readers were simulated; not a medical device.")
    page.line(f"verdict   {payload['finetune']['verdict']}: {payload['finetune'].get('reason') or ''}")
    page.line(f"report    {payload['report']}")
    page.line(f"pictures  {len(payload['pictures'])} in {payload['folder'] / 'pictures'}")
    page.line(f"project   segdesk {payload['project']}")
