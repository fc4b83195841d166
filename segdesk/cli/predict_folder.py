"""`segdesk predict` on a folder of cases: one mask each; a second run goes on where the first stopped."""

from __future__ import annotations

from pathlib import Path

from segdesk.cli.cases import find_cases
from segdesk.cli.console import Console, Json, Page, Refused, to_json_text
from segdesk.cli.prediction_job import PredictionJob, Targets
from segdesk.errors import ReadError, SegdeskError, UsageError, Warn, WriteError
from segdesk.io.atomic import replace_file
from segdesk.session.roi import roi_text

RUN_RECORD = "segdesk-predict.json"
"""Beside the masks: the model and options they were made with, so that a resumed run cannot mix two."""


def predict_folder(src: Path, folders: Targets, job: PredictionJob, console: Console) -> None:
    """Predict every case in `src` that has no mask in the folder of masks yet.

    Raises
    ------
    Refused
        After all cases, when some failed; those that were written stay.
    """
    dst = folders.mask
    if not src.is_dir():
        raise UsageError(f"{dst.name} is no mask file name; give it an extension such as .nii.gz.")
    cases, skipped = find_cases(src, job.model.spec.channel_names)
    if not cases:
        raise ReadError(f"There are no images in {src}.", code="empty", path=src)
    for folder in folders.all:
        _require_folder(folder)
    _require_same_run(dst, job)
    console.warn([Warn("case_excluded", f"{path.name} is no image and was left out.") for path in skipped])
    payload: Json = {"cases": [], "already_there": [], "failed": [], "skipped": [path.name for path in skipped]}
    with console.progress("Predicting") as report:
        for case in cases:
            targets = folders.of_case(case.name)
            if targets.mask.exists() and not job.overwrite:
                payload["already_there"].append(case.name)
                continue
            try:
                prediction = job.predict(case, report)
                for folder in folders.all:
                    _begin(folder, job)
                job.write(prediction, targets)
            except SegdeskError as error:
                payload["failed"].append({"case": case.name, **error.to_json()})
            else:
                payload["cases"].append({"case": case.name, **prediction.manifest})
    _refuse_failures(payload)
    console.show(payload, lambda page: _folder_page(page, dst, payload))


def _refuse_failures(payload: Json) -> None:
    """Say how many cases failed and why the first did; those that were written stay."""
    failed = payload["failed"]
    if failed:
        message = (
            f"{len(failed)} of the cases failed, {len(payload['cases'])} were written. "
            f"The first: {failed[0]['case']}: {failed[0]['message']}"
        )
        raise Refused(SegdeskError(message, code=failed[0]["code"], path=failed[0]["path"]), payload)


def _require_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise WriteError(f"{folder} is a file; name a folder.", code="exists", path=folder)
    if not folder.absolute().parent.is_dir():
        raise WriteError(f"The folder {folder.parent} does not exist; create it first.", path=folder)


def _require_same_run(folder: Path, job: PredictionJob) -> None:
    """Refuse to go on in a folder that another model or other options began."""
    record = folder / RUN_RECORD
    if not record.is_file() or job.overwrite:
        return
    if record.read_text(encoding="utf-8") != _run_record(job):
        message = f"{folder} holds masks of another model or other options; choose another folder, or --overwrite."
        raise WriteError(message, code="exists", path=folder)


def _run_record(job: PredictionJob) -> str:
    options = job.options
    roi = None if options.roi is None else roi_text(options.roi)
    settings = {
        "weights_sha256": job.model.sha256,
        "overlap": options.overlap,
        "tta": options.flips,
        "roi": roi,
        "engine": options.engine,
        "precision": options.precision,
        "views": options.views,
    }
    return to_json_text(settings) + "\n"


def _begin(folder: Path, job: PredictionJob) -> None:
    """Make the output folder, when the first mask is ready."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise WriteError(f"The folder {folder} cannot be made ({error.strerror}).", path=folder) from error
    text = _run_record(job)
    replace_file(folder / RUN_RECORD, lambda path: _write(path, text), overwrite=True)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _folder_page(page: Page, dst: Path, payload: Json) -> None:
    cached = sum(case["cached"] for case in payload["cases"])
    known = f" ({cached} from the result cache)" if cached else ""
    page.line(f"{dst}: {len(payload['cases'])} predicted{known}, {len(payload['already_there'])} were there already.")
