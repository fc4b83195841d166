"""`segdesk models`: the models there are, what they are, and whether they are whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segdesk.cli.console import Console, Json, Page
from segdesk.cli.options import JsonOption
from segdesk.errors import Warn
from segdesk.zoo.catalogue import find_model, scan_models
from segdesk.zoo.model_folder import ModelFolder

ExtraOption = Annotated[
    list[Path] | None, typer.Option("--folder", help="Look here too: a model folder, or a folder of them.")
]
NameArgument = Annotated[str, typer.Argument(help="Name, name@version, or folder.", show_default=False)]


def list_(folder: ExtraOption = None, json: JsonOption = False) -> None:
    """List the models: those given with --folder, your own, and the shipped ones."""
    found = scan_models(folder or ())
    console = Console(json=json, quiet=True)
    console.warn([Warn("case_excluded", f"{problem.path}: {problem.message}") for problem in found.damaged])
    payload = {
        "models": [summary(model) for model in found.models],
        "damaged": [problem.to_json() for problem in found.damaged],
    }
    console.show(payload, lambda page: _list_page(page, found.models))


def show(name: NameArgument, json: JsonOption = False) -> None:
    """Show one model: channels, labels, training, metrics, licence."""
    model = find_model(name)
    payload = {**summary(model), "model_json": model.spec.model_dump(mode="json")}
    Console(json=json, quiet=True).show(payload, lambda page: _show_page(page, model))


def verify(name: NameArgument, json: JsonOption = False) -> None:
    """Check that a model folder is whole: its parts, and the hash of its weights."""
    model = find_model(name)
    model.verify()
    payload = {"name": model.spec.name, "path": model.path, "weights_sha256": model.sha256, "ok": True}
    Console(json=json, quiet=True).show(
        payload, lambda page: page.line(f"{model.spec.identity}: whole (sha256 {model.sha256})")
    )


def summary(model: ModelFolder) -> Json:
    """Return what every list of models says of one."""
    spec = model.spec
    return {
        "name": spec.name,
        "version": spec.version,
        "title": spec.title,
        "path": model.path,
        "dimensions": spec.dimensions,
        "network": spec.network.name,
        "parameters": model.parameter_count,
        "channels": [channel.name for channel in spec.channels],
        "labels": {str(label.value): label.name for label in spec.labels},
        "spacing_kji_mm": spec.spacing_kji_mm,
        "weights_sha256": model.sha256,
        "untrained": spec.untrained,
        "parent": None if spec.parent is None else f"{spec.parent.name}@{spec.parent.version}",
    }


def _list_page(page: Page, models: tuple[ModelFolder, ...]) -> None:
    if not models:
        page.line("There are no models here; train one with 'segdesk train', or name a folder with --folder.")
        return
    rows = [
        (
            model.spec.identity,
            f"{model.spec.dimensions}D",
            ", ".join(channel.name for channel in model.spec.channels),
            len(model.spec.labels),
            model.spec.title + (" (untrained)" if model.spec.untrained else ""),
        )
        for model in models
    ]
    page.table(("Model", "", "Channels", "Labels", "What it draws"), rows)


def _show_page(page: Page, model: ModelFolder) -> None:
    spec = model.spec
    page.heading(f"{spec.identity} - {spec.title}")
    if spec.untrained:
        page.line("Untrained: random weights, there to show the program only.")
    page.line(f"folder     {model.path}")
    page.line(f"network    {spec.network.name}, {spec.dimensions}D, {model.parameter_count:,} parameters")
    page.line(f"channels   {', '.join(channel.name for channel in spec.channels)}")
    page.line(f"labels     {', '.join(f'{label.value} {label.name}' for label in spec.labels)}")
    if spec.spacing_kji_mm is not None:
        page.line(f"voxels     {' x '.join(f'{mm:g}' for mm in spec.spacing_kji_mm)} mm (k, j, i)")
    if spec.training is not None:
        page.line(f"trained on {spec.training.dataset} ({spec.training.licence})")
    if spec.parent is not None:
        page.line(f"parent     {spec.parent.name}@{spec.parent.version}")
    page.line(f"weights    sha256 {model.sha256}")
