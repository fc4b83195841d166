"""`segdesk explain`: why a model drew a label."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from segdesk.cli.cases import single_case
from segdesk.cli.console import Console, Page
from segdesk.cli.files import require_exists, require_free
from segdesk.cli.options import DeviceOption, JsonOption, OverwriteOption, QuietOption
from segdesk.cli.predict import ChannelOption, ModelOption, RoiOption
from segdesk.core.explanation import ExplainMethod, ExplainOptions
from segdesk.core.volume import Volume
from segdesk.io import read_volume, write_volume
from segdesk.session.roi import parse_roi
from segdesk.zoo.catalogue import find_model

LabelOption = Annotated[int, typer.Option(help="Value of the label to explain.", min=1, max=65535)]
MethodOption = Annotated[ExplainMethod, typer.Option(help="Coarse (where) or guided (which edges).")]
LayerOption = Annotated[str, typer.Option(help="Layer that Grad-CAM looks at; by default the coarsest one.")]


def explain(
    src: Annotated[Path, typer.Argument(help="An image or a DICOM folder.", show_default=False)],
    dst: Annotated[Path, typer.Argument(help="A heat map on the image's grid.", show_default=False)],
    model: ModelOption,
    label: LabelOption,
    method: MethodOption = ExplainMethod.GRADCAM,
    channel: ChannelOption = None,
    layer: LayerOption = "",
    device: DeviceOption = "auto",
    roi: RoiOption = "",
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write a map of what in the image made a model draw a label."""
    require_exists(src)
    folder = find_model(model)
    folder.verify()
    options = ExplainOptions(label, method, device, parse_roi(roi) if roi else None, layer)
    case = single_case(src, channel or (), folder.spec.channel_names)
    require_free((dst,), overwrite=overwrite, inputs=list(case.channels.values()))
    console = Console(json=json, quiet=quiet)
    from segdesk.nn.explain import explain as explain_label

    with console.progress("Explaining") as report:
        channels = {name: read_volume(path, report=report) for name, path in case.channels.items()}
        explanation = explain_label(channels, folder.path, options, report)
    write_volume(Volume(explanation.heat, explanation.geometry), dst, overwrite=overwrite)
    console.show(dict(explanation.manifest), lambda page: _page(page, dst, explanation.manifest))


def _page(page: Page, target: Path, manifest: Mapping[str, Any]) -> None:
    page.heading(f"{target}")
    page.line(f"{manifest['model']} on {manifest['device']}, {manifest['method']} of label {manifest['label']}")
    page.line(f"layer {manifest['layer']}, {manifest['voxels_explained']} voxels explained")
