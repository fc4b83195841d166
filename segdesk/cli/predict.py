"""`segdesk predict`: let a model draft masks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from segdesk.cli.cases import single_case
from segdesk.cli.console import Console, Page
from segdesk.cli.files import require_exists, require_free
from segdesk.cli.options import AllowLargeOption, DeviceOption, JsonOption, OverwriteOption, QuietOption
from segdesk.cli.predict_folder import predict_folder
from segdesk.cli.prediction_job import PredictionJob, Targets, run_network
from segdesk.core.prediction import EngineChoice, Precision, PredictOptions, Uncertainty, ViewChoice
from segdesk.errors import UsageError
from segdesk.session.cached_predictor import CachedPredictor, cached_text
from segdesk.session.result_cache import ResultCache
from segdesk.session.roi import parse_roi
from segdesk.zoo.catalogue import find_model

_MASK_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha", ".png", ".tif", ".tiff")

SourceArgument = Annotated[Path, typer.Argument(help="An image, a DICOM folder, or a folder of cases.")]
TargetArgument = Annotated[Path, typer.Argument(help="A mask file; for a folder of cases a folder.")]
ModelOption = Annotated[str, typer.Option(help="Name, name@version, or folder of the model.")]
ChannelOption = Annotated[list[str] | None, typer.Option(help="NAME=FILE, for models with several channels.")]
OverlapOption = Annotated[float, typer.Option(help="Overlap of neighbouring windows.", min=0.0, max=0.9)]
TtaOption = Annotated[bool, typer.Option("--tta", help="Average over mirrored copies: slower, a little better.")]
ViewsOption = Annotated[
    ViewChoice,
    typer.Option(help="2D models: slice by slice, or the mean of what they say across all three axes (slower)."),
]
RoiOption = Annotated[str, typer.Option(help="Predict only in k0:k1,j0:j1,i0:i1 (voxels).")]
ProbabilitiesOption = Annotated[Path | None, typer.Option(help="Write the probability of every label here too.")]
UncertaintyOption = Annotated[Path | None, typer.Option(help="Write a map of where the model is unsure (0 to 1) here.")]
EngineOption = Annotated[
    EngineChoice, typer.Option(help="What runs the network; auto: the fastest here that agrees with torch.")
]
PrecisionOption = Annotated[
    Precision, typer.Option(help="auto: bf16 only where it is faster and the model's own scores stay.")
]
NoCacheOption = Annotated[
    bool, typer.Option("--no-cache", help="Run the model although this result is known, and do not keep it.")
]
KindOption = Annotated[
    Uncertainty, typer.Option(help="Entropy of the probabilities, or how much the mirrored copies of --tta disagree.")
]


def predict(
    src: SourceArgument,
    dst: TargetArgument,
    model: ModelOption,
    channel: ChannelOption = None,
    device: DeviceOption = "auto",
    overlap: OverlapOption = 0.5,
    tta: TtaOption = False,
    views: ViewsOption = ViewChoice.SLICES,
    roi: RoiOption = "",
    probabilities: ProbabilitiesOption = None,
    uncertainty: UncertaintyOption = None,
    uncertainty_kind: KindOption = Uncertainty.ENTROPY,
    engine: EngineOption = EngineChoice.AUTO,
    precision: PrecisionOption = Precision.AUTO,
    no_cache: NoCacheOption = False,
    overwrite: OverwriteOption = False,
    allow_large: AllowLargeOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Draft a mask of an image, or of every case in a folder; a second run goes on where the first stopped."""
    require_exists(src)
    box = parse_roi(roi) if roi else None
    kind = None if uncertainty is None else uncertainty_kind
    options = PredictOptions(device, overlap, box, tta, probabilities is not None, kind, engine, precision, views)
    predictor = run_network if no_cache else CachedPredictor(run_network, ResultCache.of_user())
    job = PredictionJob(find_model(model), options, overwrite, predictor)
    job.model.verify()
    console = Console(json=json, quiet=quiet)
    targets = Targets(dst, probabilities, uncertainty)
    if dst.name.lower().endswith(_MASK_SUFFIXES):
        case = single_case(src, channel or (), job.model.spec.channel_names)
        require_free(targets.all, overwrite=overwrite, inputs=list(case.channels.values()))
        with console.progress("Predicting") as report:
            prediction = job.predict(case, report)
        job.write(prediction, targets)
        console.show(prediction.manifest, lambda page: _case_page(page, dst, prediction.manifest))
    elif channel:
        raise UsageError("--channel names the files of one case; for a folder of cases use one sub-folder per case.")
    else:
        predict_folder(src, targets, job, console)


def _case_page(page: Page, target: Path, manifest: Mapping[str, Any]) -> None:
    page.heading(f"{target}")
    seconds = manifest["seconds"]["total"]
    where = f"{manifest['device']} ({manifest['engine']})"
    page.line(f"{manifest['model']} on {where}, {manifest['windows']} windows, {seconds:.1f} s")
    if manifest["cached"]:
        page.line(f"{cached_text(manifest)}; --no-cache runs the model again.")
    rows = [(int(value), row["name"], row["volume_mm3"]) for value, row in manifest["labels"].items()]
    page.table(("Label", "Name", "Volume (mm3)"), rows)
