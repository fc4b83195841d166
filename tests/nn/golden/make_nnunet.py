"""Make the recorded nnU-Net models of this folder with nnU-Net's own networks.

Run it only when they shall change::

    pip install --no-deps dynamic-network-architectures==0.4.4
    python -m tests.nn.golden.make_nnunet

Each model is a results folder as nnU-Net v2 leaves it, with random weights, and ``answer.safetensors``:
an image in nnU-Net's order of axes, and the logits of nnU-Net's network for it.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

HERE = Path(__file__).parent

_MODELS: dict[str, dict[str, Any]] = {
    "plain": {
        "configuration": "3d_fullres", "transpose": [1, 0, 2], "patch": [8, 16, 16], "spacing": [1.0, 2.5, 0.8],
        "network": "PlainConvUNet", "kernels": [[1, 3, 3], [3, 3, 3], [3, 3, 3]],
        "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2]], "blocks": [2, 2, 2], "scheme": "CTNormalization",
    },
    "residual": {
        "configuration": "3d_fullres", "transpose": [2, 0, 1], "patch": [8, 8, 16], "spacing": [1.5, 1.0, 1.0],
        "network": "ResidualEncoderUNet", "kernels": [[3, 3, 3], [3, 3, 1], [3, 3, 3]],
        "strides": [[1, 1, 1], [2, 2, 2], [1, 1, 2]], "blocks": [1, 2, 1], "scheme": "ZScoreNormalization",
    },
    "flat": {
        "configuration": "2d", "transpose": [0, 2, 1], "patch": [16, 24], "spacing": [0.7, 0.9],
        "network": "PlainConvUNet", "kernels": [[3, 3], [5, 3], [3, 3]], "strides": [[1, 1], [2, 1], [2, 2]],
        "blocks": [1, 2, 1], "scheme": "NoNormalization",
    },
}  # fmt: skip


def main() -> None:
    """Write all models."""
    for seed, (name, numbers) in enumerate(_MODELS.items()):
        torch.manual_seed(seed)
        _write(HERE / name / f"nnUNetTrainer__nnUNetPlans__{numbers['configuration']}", numbers)


def _write(folder: Path, numbers: dict[str, Any]) -> None:
    dims = len(numbers["patch"])
    arguments = _arguments(numbers)
    network = _network(numbers["network"], arguments, dims)
    plans = _plans(numbers, arguments, dims)
    fold = folder / "fold_0"
    fold.mkdir(parents=True, exist_ok=True)
    (folder / "plans.json").write_text(json.dumps(plans, indent=1) + "\n")
    (folder / "dataset.json").write_text(json.dumps(_DATASET, indent=1) + "\n")
    image = torch.randn(1, 1, *numbers["patch"])
    with torch.inference_mode():
        save_file({"image": image, "logits": network(image)}, folder / "answer.safetensors")
    torch.save(_checkpoint(network, plans, numbers["configuration"], dims), fold / "checkpoint_final.pth")


_DATASET = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "organ": 1, "lesion": 2, "ignore": 3},
    "numTraining": 4,
    "file_ending": ".nii.gz",
    "licence": "CC0",
}


def _arguments(numbers: dict[str, Any]) -> dict[str, Any]:
    is_residual = numbers["network"] == "ResidualEncoderUNet"
    return {
        "n_stages": 3,
        "features_per_stage": [2, 4, 6],
        "kernel_sizes": numbers["kernels"],
        "strides": numbers["strides"],
        "n_blocks_per_stage" if is_residual else "n_conv_per_stage": numbers["blocks"],
        "n_conv_per_stage_decoder": [1, 2],
        "conv_bias": True,
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op_kwargs": None,
        "nonlin_kwargs": {"inplace": True},
    }


def _network(name: str, arguments: dict[str, Any], dims: int) -> nn.Module:
    package = import_module("dynamic_network_architectures.architectures.unet")
    network: nn.Module = getattr(package, name)(
        input_channels=1,
        num_classes=3,
        conv_op=nn.Conv3d if dims == 3 else nn.Conv2d,
        norm_op=nn.InstanceNorm3d if dims == 3 else nn.InstanceNorm2d,
        nonlin=nn.LeakyReLU,
        **arguments,
    ).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            # Norms begin as 1 and 0: a mix-up of theirs would not show.
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return network


def _plans(numbers: dict[str, Any], arguments: dict[str, Any], dims: int) -> dict[str, Any]:
    return {
        "dataset_name": "Dataset001_Made",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [3.0, 0.8, 0.8],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": numbers["transpose"],
        "transpose_backward": [numbers["transpose"].index(axis) for axis in range(3)],
        "configurations": {
            numbers["configuration"]: {
                "batch_size": 2,
                "patch_size": numbers["patch"],
                "spacing": numbers["spacing"],
                "normalization_schemes": [numbers["scheme"]],
                "use_mask_for_norm": [False],
                "architecture": {
                    "network_class_name": f"dynamic_network_architectures.architectures.unet.{numbers['network']}",
                    "arch_kwargs": {
                        **arguments,
                        "conv_op": f"torch.nn.modules.conv.Conv{dims}d",
                        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dims}d",
                        "dropout_op": None,
                        "nonlin": "torch.nn.LeakyReLU",
                    },
                    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
                },
            }
        },
        "foreground_intensity_properties_per_channel": {
            "0": {"mean": 99.5, "median": 101.0, "std": 37.0, "percentile_00_5": -17.0, "percentile_99_5": 201.0}
        },
    }


def _checkpoint(network: nn.Module, plans: dict[str, Any], configuration: str, dims: int) -> dict[str, Any]:
    return {
        "network_weights": network.state_dict(),
        "optimizer_state": {"state": {}, "param_groups": [{"lr": 0.01}]},
        "grad_scaler_state": None,
        "logging": {"mean_fg_dice": [np.float64(0.3), np.float32(0.4)], "epoch_end_timestamps": [1.0]},
        "_best_ema": np.float64(0.5),
        "current_epoch": 1000,
        "init_args": {"plans": plans, "configuration": configuration, "fold": 0, "device": torch.device("cuda")},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": tuple(range(dims)),
    }


if __name__ == "__main__":
    main()
