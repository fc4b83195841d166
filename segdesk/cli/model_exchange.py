"""`segdesk models import` and `segdesk models export`: models from and for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from segdesk.cli.console import Console, Json, Page
from segdesk.cli.models import NameArgument, summary
from segdesk.cli.options import JsonOption, OverwriteOption, QuietOption
from segdesk.errors import UsageError
from segdesk.paths import user_models
from segdesk.workers.model_import import ImportRequest, ModelImporter
from segdesk.zoo.catalogue import find_model
from segdesk.zoo.foreign.contract import ModelContract, contract_of, read_contract
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.packing import export_zip


class ExportFormat(StrEnum):
    """What a model can be written as."""

    ZIP = "zip"
    ONNX = "onnx"
    BUNDLE = "bundle"


_BY_SUFFIX = {".zip": ExportFormat.ZIP, ".onnx": ExportFormat.ONNX}

SourceArgument = Annotated[
    Path,
    typer.Argument(
        help="A model folder, a MONAI bundle, a results folder of nnU-Net v2, a zip of one of them, "
        "or a state dict (.pt, .pth, .safetensors).",
        show_default=False,
    ),
]
ContractOption = Annotated[
    Path | None,
    typer.Option(
        "--contract",
        help="JSON or TOML file that declares what the source does not say: channels, labels, spacing_kji_mm, "
        "patch_kji, orientation, axis_order, network, training.",
    ),
]


def import_(
    source: SourceArgument,
    name: Annotated[str | None, typer.Option(help="Name of the model and its folder.")] = None,
    contract: ContractOption = None,
    fold: Annotated[
        str | None,
        typer.Option(
            help="Folds of an nnU-Net folder, for example 0,2 or all (the one of all cases); without it every one."
        ),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="Folder of models it goes to; your own models by default.")
    ] = None,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Import a model: its weights are opened in a process of their own, and nothing in it is run."""
    declared = ModelContract() if contract is None else read_contract(contract)
    if fold is not None:
        declared = declared.completed_by(_fold(fold))
    request = ImportRequest(source, to or user_models(), name, declared, overwrite)
    console = Console(json=json, quiet=quiet)
    with console.progress("Importing the model") as report:
        model = ModelImporter()(request, report)
    notes = () if model.spec.imported is None else model.spec.imported.notes
    payload: Json = {**summary(model), "notes": notes}
    console.show(payload, lambda page: _import_page(page, model, notes))


def export(
    name: NameArgument,
    destination: Annotated[Path, typer.Argument(metavar="DST", help="New file or folder.", show_default=False)],
    format_: Annotated[
        ExportFormat | None,
        typer.Option("--format", help="By the ending of DST (.zip, .onnx); a folder is a MONAI bundle."),
    ] = None,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Export a model: the folder as a zip, ONNX, or a MONAI bundle; checked before it appears."""
    model = find_model(name)
    kind = format_ or _BY_SUFFIX.get(destination.suffix.lower(), ExportFormat.BUNDLE)
    difference: float | None = None
    if kind is ExportFormat.ZIP:
        export_zip(model, destination, overwrite=overwrite)
    elif kind is ExportFormat.ONNX:
        from segdesk.nn.exporting_onnx import export_onnx

        difference = export_onnx(model, destination, overwrite=overwrite)
    else:
        from segdesk.nn.exporting_bundle import export_bundle

        if overwrite:
            raise UsageError("A bundle is a folder, and no folder is replaced; choose another name.")
        export_bundle(model, destination)
    payload = {
        "name": model.spec.name,
        "version": model.spec.version,
        "format": kind.value,
        "path": destination,
        "weights_sha256": model.sha256,
        "largest_difference": difference,
    }
    Console(json=json, quiet=True).show(payload, lambda page: _export_page(page, model, destination, difference))


def _fold(text: str) -> ModelContract:
    return contract_of({"fold": text}, "--fold")


def _import_page(page: Page, model: ModelFolder, notes: tuple[str, ...]) -> None:
    page.heading(f"{model.spec.identity} - {model.spec.title}")
    page.line(f"{model.parameter_count:,} parameters of {model.spec.network.name} in {model.path}")
    for note in notes:
        page.line(f"- {note}")
    page.line(f"See 'segdesk models show {model.spec.name}'; check its masks on cases of your own before you use it.")


def _export_page(page: Page, model: ModelFolder, destination: Path, difference: float | None) -> None:
    page.line(f"{model.spec.identity} is in {destination}; read back and checked.")
    if difference is not None:
        page.line(f"ONNX Runtime answers within {difference:.1g} of segdesk's own engine (limit 1e-4).")
