"""Models whose answer is known: weights written by hand, in real model folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from segdesk.nn.networks.registry import network_of
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.spec import Channel, LabelSpec, ModelSpec, NetworkSpec, Normalisation
from segdesk.zoo.writer import write_model_folder

torch.set_num_threads(1)

RAW = Normalisation(kind="none")


def toy_spec(**changes: Any) -> ModelSpec:
    """A 3D model of one raw channel and one label."""
    fields: dict[str, Any] = {
        "name": "toy",
        "title": "Bright is label 7",
        "dimensions": 3,
        "network": NetworkSpec(name="residual_unet", parameters={"widths": [1]}),
        "channels": (Channel(name="image", normalisation=RAW),),
        "labels": (LabelSpec(value=7, name="bright", colour_rgb=(230, 159, 0)),),
        "patch_kji": (4, 8, 8),
        "weights_sha256": "0" * 64,
    }
    return ModelSpec(**{**fields, **changes})


def threshold_model(folder: Path, threshold: float = 50.0, **changes: Any) -> ModelFolder:
    """A 3D (or 2D) model that labels every voxel above `threshold`; no voxel sees another."""
    spec = toy_spec(**changes)
    network = network_of(spec)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        # The only stage is leaky_relu(0 + x); the head compares it with the threshold.
        network.head.weight[1] = 1.0
        network.head.bias[1] = -threshold
    return save_model(folder, spec, network)


def classic_model(folder: Path, **changes: Any) -> ModelFolder:
    """A random classic 2D U-Net with one pooling: valid convolutions, no normalisation."""
    network_spec = NetworkSpec(name="classic_unet", parameters={"width": 2, "depth": 1})
    flat = {"dimensions": 2, "network": network_spec, "patch_kji": (1, 12, 12)}
    spec = toy_spec(**{**flat, **changes})
    torch.manual_seed(3)
    return save_model(folder, spec, network_of(spec))


def save_model(folder: Path, spec: ModelSpec, network: nn.Module) -> ModelFolder:
    """Write a network as a model folder."""
    return write_model_folder(folder, spec, save(network.state_dict()), "# A toy\n")


def many_labels(values: Sequence[int]) -> tuple[LabelSpec, ...]:
    """Labels by value, named after it."""
    return tuple(LabelSpec(value=value, name=f"label {value}", colour_rgb=(1, 2, 3)) for value in values)
