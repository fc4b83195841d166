"""`segdesk models`: the models there are, what they are, and whether they are whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from segdesk.cli.console import Console, Json, Page
from segdesk.cli.options import JsonOption
from segdesk.errors import Warn
from segdesk.zoo.catalogue import find_model, scan_models
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.spec import Channel, LabelSpec, ModelSpec, PostRule

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
    Console(json=json, quiet=True).show(payload, lambda page: _verify_page(page, model))


def _verify_page(page: Page, model: ModelFolder) -> None:
    page.line(f"{model.spec.identity}: whole")
    page.line(f"weights    sha256 {model.sha256}, {len(model.tensors)} tensors, {model.parameter_count:,} parameters")
    if not model.card_path.is_file():
        page.line("card       none; it should say data, terms and limits")


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
        "licence": _terms(spec),
        "imported": None if spec.imported is None else spec.imported.format,
        "parent": None if spec.parent is None else f"{spec.parent.name}@{spec.parent.version}",
    }


def _list_page(page: Page, models: tuple[ModelFolder, ...]) -> None:
    if not models:
        page.line(
            "There are no models here; train one with 'segdesk train', import one with 'segdesk models import', "
            "or name a folder with --folder."
        )
        return
    rows = [
        (
            model.spec.identity,
            f"{model.spec.dimensions}D",
            ", ".join(model.spec.channel_names),
            len(model.spec.labels),
            f"{model.parameter_count / 1e6:.1f} M",
            _terms(model.spec),
            model.spec.title + (" (untrained)" if model.spec.untrained else ""),
        )
        for model in models
    ]
    page.table(("Model", "", "Channels", "Labels", "Size", "Terms", "What it draws"), rows)


def _show_page(page: Page, model: ModelFolder) -> None:
    spec = model.spec
    page.heading(f"{spec.identity} - {spec.title}")
    if spec.untrained:
        page.line("Untrained: random weights, there to show the program only.")
    for name, text in _facts(model):
        page.line(f"{name:<11}{text}")
    page.line()
    page.table(("Channel", "Modality", "Normalisation"), [_channel_row(channel) for channel in spec.channels])
    page.line()
    rules = {rule.label: rule for rule in spec.post_processing}
    rows = [_label_row(label, rules.get(label.value)) for label in spec.labels]
    page.table(("Value", "Label", "Colour", "Code", "Cleaned up"), rows)
    if scores := _score_rows(spec):
        page.line()
        page.table(("Own test", "mean Dice", "95 % from", "to", "worst", "cases"), scores)
    if spec.imported is not None:
        page.line()
        page.line(f"Imported ({spec.imported.format}) from {spec.imported.source}:")
        for note in spec.imported.notes:
            page.line(f"- {note}")


def _facts(model: ModelFolder) -> Iterator[tuple[str, str]]:
    """Yield name and text of each line about a model."""
    spec = model.spec
    yield "folder", str(model.path)
    members = f", {spec.members} networks averaged" if spec.members > 1 else ""
    yield "network", f"{spec.network.name}, {spec.dimensions}D, {model.parameter_count:,} parameters{members}"
    yield "voxels", "the image's own" if spec.spacing_kji_mm is None else f"{_times(spec.spacing_kji_mm)} mm (k, j, i)"
    yield "window", f"{_times(spec.patch_kji)} voxels (k, j, i)"
    if spec.slice_context:
        yield "neighbours", f"{spec.slice_context} slice(s) on each side of the one it draws"
    if len(spec.views) > 1:
        yield "views", "across k, j and i (--views three averages them)"
    yield "axes", spec.orientation or "the image's own"
    yield "mirrored", "not known" if spec.flip_axes is None else ", ".join(spec.flip_axes) or "never"
    if spec.training is not None:
        seen = len(spec.training.training_cases), len(spec.training.validation_cases)
        known = f"{seen[0]} + {seen[1]} cases to train and choose" if sum(seen) else "which cases is not known"
        yield "trained on", f"{spec.training.dataset} ({known})"
        yield "terms", spec.training.licence
    if spec.parent is not None:
        yield "parent", f"{spec.parent.name}@{spec.parent.version}"
    yield "card", str(model.card_path) if model.card_path.is_file() else "none"
    yield "weights", f"sha256 {model.sha256}"


def _score_rows(spec: ModelSpec) -> list[tuple[object, ...]]:
    """Return one row per label of the model's own test, as training writes it into the metrics."""
    rows: list[tuple[object, ...]] = []
    match spec.metrics.get("test"):
        case {"labels": dict(labels)}:
            for score in labels.values():
                match score:
                    case {"name": str(name), "dice": {"mean": mean, "ci95": [low, high], "worst": worst, "n": n}}:
                        rows.append((name, mean, low, high, worst, n))
    return rows


def _channel_row(channel: Channel) -> tuple[object, ...]:
    how = channel.normalisation
    given = ((name, getattr(how, name)) for name in ("low", "high", "mean", "std"))
    numbers = ", ".join(f"{name} {value:g}" for name, value in given if value is not None)
    return channel.name, channel.modality or "any", f"{how.kind} ({numbers})" if numbers else how.kind


def _label_row(label: LabelSpec, rule: PostRule | None) -> tuple[object, ...]:
    code = None if label.code is None else f"{label.code.scheme} {label.code.value} {label.code.meaning}"
    parts = []
    if rule is not None and rule.minimum_size_mm3 > 0:
        parts.append(f"pieces below {rule.minimum_size_mm3:g} mm3 go")
    if rule is not None and rule.largest_component:
        parts.append("the largest piece stays")
    red, green, blue = label.colour_rgb
    return str(label.value), label.name, f"#{red:02x}{green:02x}{blue:02x}", code, ", ".join(parts) or None


def _terms(spec: ModelSpec) -> str | None:
    return None if spec.training is None else spec.training.licence


def _times(numbers: tuple[float, ...]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)
