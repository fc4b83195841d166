"""Small data sets on disk, written with nibabel: a bright ball in noise, and its mask."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

SHAPE = (16, 16, 16)


def ball_case(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """An (i, j, k) image and mask; the ball moves with the seed."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(6, 10, 3)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), axis=-1)
    mask = np.linalg.norm(index - centre, axis=-1) <= 4.0
    image = rng.normal(100, 10, SHAPE) + 80 * mask
    return image.astype(np.float32), mask.astype(np.uint8)


def save_nifti(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)


def nnunet_set(root: Path, seeds: Sequence[int] = range(8), patients: dict[str, str] | None = None) -> Path:
    """An nnU-Net folder with cases ``case_<seed>``."""
    for seed in seeds:
        image, mask = ball_case(seed)
        save_nifti(root / "imagesTr" / f"case_{seed:02d}_0000.nii.gz", image)
        save_nifti(root / "labelsTr" / f"case_{seed:02d}.nii.gz", mask)
    describe(root, {"channel_names": {"0": "T1"}, "labels": {"background": 0, "ball": 1}})
    if patients is not None:
        rows = "".join(f"{case},{patient}\n" for case, patient in patients.items())
        (root / "patients.csv").write_text("case,patient\n" + rows)
    return root


def describe(root: Path, content: dict[str, object]) -> None:
    (root / "dataset.json").write_text(json.dumps(content))


TOY_RECIPE = """
[model]
name = "toy"
[preprocessing]
dimensions = 3
patch_kji = [16, 16, 16]
[network]
name = "residual_unet"
widths = [4, 8]
[training]
learning_rate = 0.01
ema = 0.9
bf16 = false
fold = 0.3
validations = 4
[augment]
flip_axes = ["i"]
"""
