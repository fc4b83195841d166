"""A model as a MONAI bundle: plain configurations, and weights that are tensors only."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from segdesk.errors import ModelError, SegdeskError, WriteError
from segdesk.nn.importing_names import in_our_axes
from segdesk.nn.importing_read import read_checkpoint
from segdesk.nn.loaded_model import LoadedModel, load_model
from segdesk.nn.networks.registry import build_network
from segdesk.zoo.foreign.bundle import CONFIGS, INFERENCE, METADATA, WEIGHTS
from segdesk.zoo.foreign.bundle_writing import bundle_axes, bundle_network, inference_config, metadata
from segdesk.zoo.foreign.inspect import inspect_foreign
from segdesk.zoo.model_folder import ModelFolder

TOLERANCE = 1e-4
"""Largest difference of the logits, as a part of their largest magnitude: sums run in another order of axes."""

_WEIGHTS_NAME = "model.pt"


def export_bundle(folder: ModelFolder, path: Path) -> None:
    """Write a model as a MONAI bundle; it appears complete and checked, or not at all.

    MONAI's arrays are (i, j, k), ours (k, j, i): the kernels are turned once, so that the
    bundle gives the same answer on MONAI's arrays.

    Parameters
    ----------
    folder : ModelFolder
        What is written.
    path : Path
        New folder.

    Raises
    ------
    ModelError
        If the network answers for less than it sees, or cannot be turned.
    WriteError
        If `path` exists, cannot be written, or reads back differently.
    """
    model = load_model(folder)
    if model.spec.slice_context:
        raise ModelError(
            "The model looks at neighbouring slices, which MONAI's sliding window does not know; "
            "export the folder as a zip or as ONNX."
        )
    if any(model.margin):
        raise ModelError(
            "The network answers for less than it sees, which MONAI's sliding window does not know; "
            "export the folder as a zip or as ONNX."
        )
    if os.path.lexists(path):
        raise WriteError(f"{path.name!r} exists already; choose another name.", code="exists", path=path)
    weights = {name: each.contiguous().clone() for name, each in in_our_axes(model.network.state_dict(), _axes(model))}
    _check_turned(model, weights)
    try:
        partial = Path(tempfile.mkdtemp(prefix=f".{path.name[:80]}.", suffix=".partial", dir=path.parent))
        try:
            _fill(partial, model, weights)
            _check_written(partial, weights)
            partial.chmod(0o755)
            partial.rename(path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as exc:
        raise WriteError(f"The bundle could not be written ({exc.strerror}).", path=path) from exc


def _axes(model: LoadedModel) -> tuple[int, ...]:
    return bundle_axes(model.spec)


def _turned_network(model: LoadedModel) -> nn.Module:
    spec = model.spec
    return build_network(
        bundle_network(spec),
        dimensions=spec.dimensions,
        in_channels=len(spec.channels),
        out_channels=len(spec.label_values),
    )


@torch.inference_mode()
def _check_turned(model: LoadedModel, weights: dict[str, Tensor]) -> None:
    """Compare the answers of both networks on one small random image."""
    network = _turned_network(model).eval()
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as exc:
        raise _not_turned(model) from exc
    smallest = [min(w, 2 * d) for w, d in zip(model.window, model.divisor, strict=True)][3 - model.spec.dimensions :]
    image = torch.randn((1, len(model.spec.channels), *smallest), generator=torch.Generator().manual_seed(0))
    order = (0, 1, *(2 + axis for axis in _axes(model)))
    ours, theirs = model.network(image), network(image.permute(order)).permute(order)
    if not bool((ours - theirs).abs().max() <= TOLERANCE * max(1.0, float(ours.abs().max()))):
        raise _not_turned(model)


def _not_turned(model: LoadedModel) -> ModelError:
    name = model.spec.network.name
    return ModelError(f"Network {name!r} cannot be turned to MONAI's axes; export the folder as a zip or as ONNX.")


def _fill(folder: Path, model: LoadedModel, weights: dict[str, Tensor]) -> None:
    configs, models = folder / CONFIGS, folder / WEIGHTS
    for each in (configs, models, folder / "docs"):
        each.mkdir()
    for name, table in ((METADATA, metadata(model.spec)), (INFERENCE, inference_config(model.spec))):
        (configs / name).write_text(json.dumps(table, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    torch.save(weights, models / _WEIGHTS_NAME)
    if model.folder.card_path.is_file():
        shutil.copyfile(model.folder.card_path, folder / "docs" / "README.md")


def _check_written(folder: Path, weights: dict[str, Tensor]) -> None:
    """Read the bundle as a stranger's, and compare its weights bit for bit."""
    try:
        found = inspect_foreign(folder)
        tensors = read_checkpoint(found.weights[0], None).tensors
    except SegdeskError as exc:
        raise WriteError(f"The bundle does not read back ({exc.message})", code="verify_failed", path=folder) from exc
    is_same = tensors.keys() == weights.keys() and all(torch.equal(tensors[name], weights[name]) for name in weights)
    if not is_same or found.contract.missing not in ((), ("training",)):
        raise WriteError("The bundle reads back differently; nothing was written.", code="verify_failed", path=folder)
