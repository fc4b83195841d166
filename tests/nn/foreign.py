"""Models of other makers, made with raw libraries."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from monai.networks.nets import UNet
from torch import Tensor, nn

from segdesk.zoo.foreign.contract import ModelContract, contract_of
from segdesk.zoo.model_folder import ModelFolder

torch.set_num_threads(1)

GOLDEN = Path(__file__).parent / "golden"

SMALL_UNET: dict[str, Any] = {
    "spatial_dims": 3, "in_channels": 1, "out_channels": 3, "channels": [2, 4, 6],
    "strides": [[2, 1, 2], [1, 2, 2]], "num_res_units": 1, "norm": ["batch", {"affine": True}],
    "kernel_size": [3, 3, 1],
}  # fmt: skip

METADATA: dict[str, Any] = {
    "version": "0.1.2",
    "name": "Spleen & friends",
    "task": "Spleen segmentation",
    "copyright": "CC BY-SA 4.0",
    "data_source": "Task09_Spleen",
    "network_data_format": {
        "inputs": {"image": {"modality": "CT", "num_channels": 1, "channel_def": {"0": "image"}}},
        "outputs": {"pred": {"num_channels": 3, "channel_def": {"0": "background", "1": "spleen", "2": "lesion"}}},
    },
}

PREPARATION: list[dict[str, Any]] = [
    {"_target_": "LoadImaged", "keys": "image"},
    {"_target_": "EnsureChannelFirstd", "keys": "image"},
    {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
    {"_target_": "Spacingd", "keys": "image", "pixdim": [1.5, 1.25, 2.0], "mode": "bilinear"},
    {
        "_target_": "ScaleIntensityRanged",
        "keys": "image",
        "a_min": -57,
        "a_max": 164,
        "b_min": 0,
        "b_max": 1,
        "clip": True,
    },
    {"_target_": "EnsureTyped", "keys": "image"},
]


def inference(**changes: Any) -> dict[str, Any]:
    """An ``inference.json`` as MONAI's model zoo has them: literals, and expressions around them."""
    table: dict[str, Any] = {
        "imports": ["$import glob", "$import os"],
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network_def": {"_target_": "UNet", **SMALL_UNET},
        "network": "$@network_def.to(@device)",
        "preprocessing": {"_target_": "Compose", "transforms": PREPARATION},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [32, 24, 16], "sw_batch_size": 4},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [{"_target_": "Activationsd", "keys": "pred", "softmax": True}],
        },
    }
    return {**table, **changes}


def unsettled(network: nn.Module) -> nn.Module:
    """Move every number of a network away from its start: norms begin as 1 and 0, and a mix-up would not show."""
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor) * 0.2)
    return network.eval()


def small_unet(**changes: Any) -> nn.Module:
    torch.manual_seed(0)
    return unsettled(UNet(**{**SMALL_UNET, **changes}))


def bundle(
    folder: Path,
    weights: object | None = None,
    *,
    metadata: Mapping[str, Any] = METADATA,
    config: Mapping[str, Any] | None = None,
) -> Path:
    """A MONAI bundle, written file by file."""
    for name in ("configs", "models"):
        (folder / name).mkdir(parents=True)
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    (folder / "configs" / "inference.json").write_text(json.dumps(inference() if config is None else config))
    torch.save(small_unet().state_dict() if weights is None else weights, folder / "models" / "model.pt")
    return folder


def turned(image: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Return an image of our axes as one whose axis a is our axis ``axes[a]``."""
    return image.permute(0, 1, *(2 + axis for axis in axes))


def turned_back(image: Tensor, axes: tuple[int, ...]) -> Tensor:
    return image.permute(0, 1, *(2 + axes.index(axis) for axis in range(len(axes))))


def declared(**fields: Any) -> ModelContract:
    return contract_of(fields, "the test")


Import = Callable[..., ModelFolder]
