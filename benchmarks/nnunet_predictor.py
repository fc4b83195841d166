"""nnU-Net's own sliding window on a network that is not one of its plans; there only where nnunetv2 is installed."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import torch
from numpy.typing import NDArray


def nnunet_title() -> str | None:
    """Return "nnU-Net 2.x", or None where nnunetv2 cannot be imported."""
    return f"nnU-Net {version('nnunetv2')}" if find_spec("nnunetv2") else None


def nnunet_segment(
    network: torch.nn.Module, window: tuple[int, int, int], classes: int, overlap: float, device: torch.device
) -> Callable[[NDArray[np.float32]], NDArray[np.uint8]]:
    """Return nnU-Net's predictor for a network: its Gaussian weights and float16 logits, without mirroring.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode.
    window : tuple of int
        (k, j, i).
    classes : int
        Background included.
    overlap : float
        Of neighbouring windows; nnU-Net's own default is 0.5.
    device : torch.device
        Where it runs; on CUDA nnU-Net uses autocast.

    Returns
    -------
    callable
        Takes a normalised image (C, k, j, i), returns classes (k, j, i).
    """
    module = import_module("nnunetv2.inference.predict_from_raw_data")
    with contextlib.redirect_stdout(io.StringIO()):
        predictor = module.nnUNetPredictor(
            tile_step_size=1 - overlap, use_mirroring=False, device=device, allow_tqdm=False
        )
    # What `manual_initialization` takes from the plans of a data set.
    predictor.network = network
    predictor.configuration_manager = SimpleNamespace(patch_size=window)
    predictor.label_manager = SimpleNamespace(num_segmentation_heads=classes)

    def segment(image: NDArray[np.float32]) -> NDArray[np.uint8]:
        logits = predictor.predict_sliding_window_return_logits(torch.from_numpy(image))
        return logits.argmax(dim=0).to(torch.uint8).cpu().numpy()

    return segment
