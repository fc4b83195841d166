"""Why a network drew a label: class activation maps and guided gradients, on the source grid.

The score that is explained is the sum of one label's stitched logits over the voxels where the
network drew it: a voxel seen by several windows counts once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segdesk.core.explanation import ExplainMethod, ExplainOptions, Explanation
from segdesk.core.prediction import PredictOptions
from segdesk.core.progress import Progress
from segdesk.core.volume import Volume
from segdesk.errors import UsageError
from segdesk.nn.device import device_title, resolve_device
from segdesk.nn.explained_case import ExplainedCase
from segdesk.nn.inputs import Inputs, check_inputs
from segdesk.nn.loaded_model import LoadedModel, load_model
from segdesk.nn.manifest import Clock, software
from segdesk.nn.preprocess import Preprocessed, preprocess
from segdesk.nn.watched_layer import Watched, coarsest_layer
from segdesk.nn.window import Window
from segdesk.zoo.model_folder import ModelFolder

FloatArray = NDArray[np.float32]
Mask = NDArray[np.bool_]

_GATES = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU)
"""Activations through which guided backpropagation lets pass only what speaks for the label."""


def explain(channels: Mapping[str, Volume], model: Path, options: ExplainOptions, report: Progress) -> Explanation:
    """Explain why a model folder drew a label in a scan.

    Parameters
    ----------
    channels : mapping of str to Volume
        As for `segdesk.nn.predict.predict`.
    model : Path
        Model folder.
    options : ExplainOptions
        Label, method, region, layer.
    report : Progress
        Called for each window; may raise `Cancelled`.

    Returns
    -------
    Explanation
        Heat on the grid of the channels.

    Raises
    ------
    UsageError
        If the model has no such label or layer, or drew nothing of it there.
    SegdeskError
        As `segdesk.nn.predict.predict`.

    References
    ----------
    Selvaraju et al., Grad-CAM, ICCV 2017; Vinogradova et al., AAAI 2020 (Grad-CAM of the sum over
    the pixels of a label); Springenberg et al., ICLR workshop 2015 (guided backpropagation).
    """
    clock = Clock()
    report(0, 0, "Loading the model")
    device = resolve_device(options.device)
    loaded = load_model(ModelFolder.load(model))
    class_index = _class_of(loaded, options.label)
    inputs = check_inputs(channels, loaded, PredictOptions(options.device, roi=options.roi))
    clock.lap("load")
    prepared = preprocess(inputs.channels, loaded.spec)
    clock.lap("preprocess")
    case = ExplainedCase(_differentiable(loaded.network).to(device), loaded, prepared, class_index, report)
    wanted = case.drawn() & _region(inputs, prepared)
    if not wanted.any():
        name = loaded.spec.label_table.name_of(options.label)
        raise UsageError(f"The model draws no {name} there, so there is nothing to explain; choose another region.")
    layer = options.layer or coarsest_layer(case.network, next(case.windows("Looking at the layers"))[1])
    heat = _METHODS[options.method](case, layer, wanted)
    clock.lap("network")
    whole = np.zeros(inputs.grid.shape_kji, np.float32)
    whole[inputs.seen.slices] = prepared.to_source(heat[None])[0]
    largest = float(np.abs(whole).max())
    manifest = {
        "model": loaded.spec.identity, "model_sha256": loaded.folder.sha256, "method": options.method.value,
        "label": options.label, "layer": layer, "device": device_title(device), "windows": case.plan.count,
        "voxels_explained": int(wanted.sum()), "seconds": dict(clock.seconds), "software": software(),
        "notes": list(inputs.notes),
    }  # fmt: skip
    return Explanation(whole / largest if largest > 0 else whole, inputs.grid, manifest)


def _class_of(model: LoadedModel, label: int) -> int:
    values = model.spec.label_values
    if label not in values[1:]:
        known = ", ".join(f"{each.value} ({each.name})" for each in model.spec.labels)
        raise UsageError(f"{model.spec.identity} has no label {label}; it has {known}.")
    return values.index(label)


def _differentiable(network: nn.Module) -> nn.Module:
    """Return a copy with gradients, whose activations leave their input alone."""
    own = copy.deepcopy(network).eval().requires_grad_()
    for module in own.modules():
        if hasattr(module, "inplace"):
            setattr(module, "inplace", False)  # noqa: B010 - no type declares it
    return own


def _region(inputs: Inputs, prepared: Preprocessed) -> Mask:
    """Return the region of interest on the model's grid."""
    region = np.zeros(inputs.grid.shape_kji, np.uint8)
    region[inputs.wanted.slices] = 1
    return np.asarray(prepared.labels_to_model(region[inputs.seen.slices]), dtype=np.bool_)


def grad_cam(case: ExplainedCase, layer: str, wanted: Mask) -> FloatArray:
    """Return ReLU(sum over channels c of a_c A_c) on the model's grid, (k, j, i).

    A is the layer's output, a_c the mean gradient of the score with respect to channel c over all windows.
    """
    placed = case.placed(wanted)
    with Watched(case.network, layer) as watched:
        gradients: list[Tensor] = []
        for window, view in case.windows("Gradients of the layer"):
            score = case.score(case.network(view), window, placed)
            (gradient,) = torch.autograd.grad(score, watched.output)
            gradients.append(gradient[0].flatten(1).mean(dim=1))
        importance = torch.stack(gradients).mean(dim=0)
        return case.stitched(_class_activation(case, watched, importance))


@torch.no_grad()
def _class_activation(case: ExplainedCase, watched: Watched, importance: Tensor) -> Iterator[tuple[Window, Tensor]]:
    for window, view in case.windows("Activations of the layer"):
        case.network(view)
        coarse = torch.einsum("c,nc...->n...", importance, watched.output).clamp_min(0)[:, None]
        yield window, case.on_window(coarse, view)


def guided_backpropagation(case: ExplainedCase, layer: str, wanted: Mask) -> FloatArray:
    """Return the guided gradient of the score with respect to the image, (k, j, i).

    Of several channels the one with the largest magnitude is kept. The layer is not used.
    """
    placed = case.placed(wanted)

    def parts() -> Iterator[tuple[Window, Tensor]]:
        for window, view in case.windows("Guided gradients"):
            looked_at = view.clone().requires_grad_()
            score = case.score(case.network(looked_at), window, placed)
            yield window, torch.autograd.grad(score, looked_at)[0]

    with _gated(case.network):
        gradients = case.gradients(parts())
    strongest = np.abs(gradients).argmax(axis=0)[None]
    return np.asarray(np.take_along_axis(gradients, strongest, axis=0)[0])


def guided_grad_cam(case: ExplainedCase, layer: str, wanted: Mask) -> FloatArray:
    """Return the product of both: fine edges, where the label's evidence is."""
    return grad_cam(case, layer, wanted) * guided_backpropagation(case, layer, wanted)


_METHODS: Mapping[ExplainMethod, Callable[[ExplainedCase, str, Mask], FloatArray]] = {
    ExplainMethod.GRADCAM: grad_cam,
    ExplainMethod.GUIDED_BACKPROP: guided_backpropagation,
    ExplainMethod.GUIDED_GRADCAM: guided_grad_cam,
}


@contextmanager
def _gated(network: nn.Module) -> Iterator[None]:
    """Let only positive gradients through activations while the block runs."""
    gates = [module for module in network.modules() if isinstance(module, _GATES)]
    handles = [gate.register_full_backward_hook(_only_positive) for gate in gates]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _only_positive(gate: nn.Module, into: Any, out: object) -> tuple[Tensor, ...]:
    return tuple(gradient.clamp_min(0) for gradient in into)
