"""A training step of segdesk beside a plain one of torch: same network, same patches, same loss, one process.

    python -m benchmarks.train                    MONAI's U-Net, 4.8 M parameters, 96^3 patches, batch 2
    python -m benchmarks.train --device cuda
    python -m benchmarks.train --steps 100 --patch 48 48 48

The peer is a step as tutorials write it: MONAI's U-Net in float32, eager, AdamW, clipped gradients.
Ours is `segdesk.nn.learner.Learner` as `segdesk train` runs it: bf16 autocast, and the averaged
weights on top. Both start from the same weights, take the same batches in turns and fall with the same
learning rate, so that their loss curves can be compared. Drawing and augmenting a batch, done once
for both, is timed apart: the second ratio has it on both sides.
"""

from __future__ import annotations

import argparse
import copy
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from segdesk.core.box import Index3
from segdesk.nn.augment import AugmentSettings
from segdesk.nn.device import device_title, resolve_device
from segdesk.nn.engines.runner import computes_bf16
from segdesk.nn.learner import Learner
from segdesk.nn.losses import LossSettings, segmentation_loss
from segdesk.nn.networks.registry import build_network
from segdesk.nn.recipe import TrainingNumbers
from segdesk.nn.sampler import Batch, PatchSampler, TrainingCase
from segdesk.zoo.spec import NetworkSpec

CLASSES = 3
WARM_UP = 2
"""Steps that are not counted."""

_UNET = NetworkSpec(
    name="unet", parameters={"widths": [16, 32, 64, 128, 256], "strides": [2, 2, 2, 2], "num_res_units": 2}
)
_LOSS = LossSettings()


@dataclass(frozen=True)
class DrawnBatch:
    """Stands in for a sampler: gives the batch both sides train on."""

    batches: list[Batch]
    seed: int = 0

    def batch(self, step: int, size: int) -> Batch:
        """Return the batch drawn last."""
        return self.batches[-1]


@dataclass
class PlainStep:
    """The step of a tutorial, in float32."""

    network: nn.Module
    numbers: TrainingNumbers
    optimizer: torch.optim.Optimizer = field(init=False)

    def __post_init__(self) -> None:
        """Make the optimiser."""
        numbers = self.numbers
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), numbers.learning_rate, weight_decay=numbers.weight_decay
        )

    def step(self, batch: Batch, progress: float) -> float:
        """Train on a batch; return the loss."""
        device = next(self.network.parameters()).device
        for group in self.optimizer.param_groups:
            group["lr"] = self.numbers.learning_rate * (1 - progress) ** 0.9
        self.optimizer.zero_grad(set_to_none=True)
        loss = segmentation_loss(self.network(batch.images.to(device)), batch.labels.to(device), _LOSS, None)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.numbers.clip_norm)
        self.optimizer.step()
        return float(loss.detach())


@dataclass
class Curve:
    """Seconds and loss of every step of one side."""

    seconds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def add(self, step: Callable[[], float]) -> None:
        """Run a step; its loss is read back, which waits for a GPU."""
        began = time.perf_counter()
        loss = step()
        self.seconds.append(time.perf_counter() - began)
        self.losses.append(loss)

    @property
    def median(self) -> float:
        """Seconds a step, warmed up."""
        return statistics.median(self.seconds[WARM_UP:])

    def ends(self) -> str:
        """Return the mean loss of the first and of the last tenth."""
        tenth = max(1, len(self.losses) // 10)
        return f"{np.mean(self.losses[:tenth]):.4f} to {np.mean(self.losses[-tenth:]):.4f}"


def phantoms(shape: Index3, count: int) -> list[TrainingCase]:
    """Return scans with a bright and a dark ball in noise."""
    rng = np.random.default_rng(0)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    cases = []
    for number in range(count):
        labels = np.zeros(shape, np.uint8)
        for value in (1, 2):
            centre = rng.uniform(0.25, 0.75, 3) * shape
            labels[np.linalg.norm(index - centre, axis=-1) < 0.2 * min(shape)] = value
        image = rng.normal(0, 1, shape) + np.array([0.0, 1.5, -1.5])[labels]
        cases.append(
            TrainingCase(str(number), torch.from_numpy(image[None].astype(np.float32)), torch.from_numpy(labels))
        )
    return cases


def run(words: argparse.Namespace, device: torch.device) -> tuple[Curve, Curve, list[float], int]:
    """Train both sides in turns; return their curves, the seconds of drawing, and the number of parameters."""
    patch: Index3 = tuple(words.patch)
    k, j, i = (int(1.5 * n) for n in patch)
    sampler = PatchSampler(phantoms((k, j, i), 4), patch, AugmentSettings(), 0)
    torch.manual_seed(0)
    network = build_network(_UNET, dimensions=3, in_channels=1, out_channels=CLASSES).to(device)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    numbers = TrainingNumbers(batch_size=words.batch)
    plain = PlainStep(copy.deepcopy(network).train(), numbers)
    drawn: list[Batch] = []
    stand_in: Any = DrawnBatch(drawn)
    learner = Learner(network, stand_in, numbers, _LOSS)
    theirs, ours, drawing = Curve(), Curve(), []
    for step in range(words.steps + WARM_UP):
        progress = step / (words.steps + WARM_UP)
        began = time.perf_counter()
        drawn[:] = [sampler.batch(step, words.batch)]
        drawing.append(time.perf_counter() - began)
        theirs.add(lambda progress=progress: plain.step(drawn[-1], progress))
        ours.add(lambda step=step, progress=progress: learner.step(step, progress))
    return theirs, ours, drawing, parameters


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patch", type=int, nargs=3, default=(96, 96, 96), metavar=("K", "J", "I"))
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--device", default="cpu")
    words = parser.parse_args()
    device, load = resolve_device(words.device), os.getloadavg()[0]
    theirs, ours, drawing, parameters = run(words, device)
    print(
        f"unet, {parameters / 1e6:.1f} M parameters, {tuple(words.patch)}, batch {words.batch}, {words.steps} steps.\n"
    )
    print("| side | a step | steps/s | loss, first to last tenth |")
    print("|---|---|---|---|")
    for name, side in (("torch fp32, eager", theirs), ("segdesk, bf16 autocast", ours)):
        print(f"| {name} | {side.median:.3f} s | {1 / side.median:.2f} | {side.ends()} |")
    ratios = [a / b for a, b in zip(theirs.seconds[WARM_UP:], ours.seconds[WARM_UP:], strict=True)]
    draw = statistics.median(drawing)
    with_drawing = (theirs.median + draw) / (ours.median + draw)
    apart = max(abs(a - b) for a, b in zip(theirs.losses, ours.losses, strict=True))
    print(f"\nRatio {statistics.median(ratios):.2f} x ({min(ratios):.2f} to {max(ratios):.2f}).")
    print(f"With drawing and augmenting a batch ({draw:.3f} s) on both sides: {with_drawing:.2f} x.")
    print(f"Largest difference between the losses of a step: {apart:.4f}.")
    if not computes_bf16(device):
        print("This device has no bf16 instructions: bf16 is emulated.")
    print(f"{device_title(device)}, {torch.get_num_threads()} threads, torch {torch.__version__}, ", end="")
    print(f"Python {platform.python_version()}; load {load:.1f} at the start.")


if __name__ == "__main__":
    main()
