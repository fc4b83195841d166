"""Sliding windows of segdesk beside MONAI's, same network, same volume, same windows, one process, interleaved.

    python benchmarks/predict.py --shape 240 240 155 --device cpu
    python benchmarks/predict.py --model models/hippocampus-unet3d --image scan.nii.gz

MONAI runs as its users run it: ``sliding_window_inference`` with its defaults (overlap 0.25, constant
weights) and an argmax over the float volume of every class. segdesk runs with the same overlap.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from numpy.typing import NDArray

from segdesk.io import read_volume
from segdesk.nn.device import device_title, resolve_device
from segdesk.nn.loaded_model import LoadedModel, load_model
from segdesk.nn.memory import peak_memory_mib, start_measuring
from segdesk.nn.networks.registry import build_network
from segdesk.nn.preprocess import preprocess
from segdesk.nn.stitch import ClassSink, Engine, stitch
from segdesk.nn.window import WindowPlan
from segdesk.zoo.catalogue import find_model
from segdesk.zoo.spec import NetworkSpec

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Work:
    """What both sides do."""

    network: torch.nn.Module
    image: NDArray[np.float32]
    plan: WindowPlan
    device: torch.device
    batch: int

    def segdesk(self) -> Labels:
        sink = ClassSink(self.plan.shape)
        engine = Engine(self.network, 3, self.device, self.device, self.batch)
        stitch(engine, self.image, self.plan, sink, lambda done: None)
        return sink.classes

    @torch.inference_mode()
    def monai(self) -> Labels:
        inputs = torch.from_numpy(self.image)[None].to(self.device)
        logits = sliding_window_inference(inputs, self.plan.window, self.batch, self.network, self.plan.overlap)
        return torch.as_tensor(logits).argmax(dim=1)[0].to(torch.uint8).cpu().numpy()


@dataclass
class Timing:
    seconds: list[float]
    peak_mib: float
    labels: Labels


def measure(work: Work, rounds: int) -> dict[str, Timing]:
    """Run both in turn; the first round warms up and is not counted."""
    sides: dict[str, Callable[[], Labels]] = {"MONAI": work.monai, "segdesk": work.segdesk}
    timings = {name: Timing([], 0.0, np.zeros(0, np.uint8)) for name in sides}
    for turn in range(rounds + 1):
        for name, run in sides.items():
            start_measuring(work.device)
            began = time.perf_counter()
            timings[name].labels = run()
            took = time.perf_counter() - began
            timings[name].peak_mib = peak_memory_mib(work.device) or 0.0
            if turn:
                timings[name].seconds.append(took)
    return timings


def synthetic(
    shape: tuple[int, int, int], patch: tuple[int, int, int], classes: int
) -> tuple[torch.nn.Module, WindowPlan]:
    torch.manual_seed(0)
    network = build_network(NetworkSpec(name="residual_unet"), dimensions=3, in_channels=1, out_channels=classes)
    return network.eval(), WindowPlan(shape, patch, overlap=0.25)


def from_model(model: LoadedModel, image: Path) -> tuple[NDArray[np.float32], WindowPlan]:
    prepared = preprocess({model.spec.channel_names[0]: read_volume(image)}, model.spec)
    k, j, i = prepared.array.shape[1:]
    return prepared.array, WindowPlan((k, j, i), model.window, overlap=0.25)


def report(timings: dict[str, Timing], work: Work) -> None:
    monai, ours = timings["MONAI"], timings["segdesk"]
    print(
        f"volume {work.plan.shape}, window {work.plan.window}, {work.plan.count} windows, {device_title(work.device)}"
    )
    for name, timing in timings.items():
        print(f"  {name:8s} {statistics.median(timing.seconds):8.3f} s (median)   peak {timing.peak_mib:8.0f} MiB")
    ratios = [a / b for a, b in zip(monai.seconds, ours.seconds, strict=True)]
    print(f"  time MONAI / segdesk: median {statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})")
    print(f"  voxels with the same label: {(monai.labels == ours.labels).mean():.6f}")
    for value in range(1, int(max(monai.labels.max(), ours.labels.max())) + 1):
        a, b = monai.labels == value, ours.labels == value
        total = int(a.sum() + b.sum())
        print(f"  Dice between the two, label {value}: {2 * int((a & b).sum()) / total if total else float('nan'):.5f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="model name or folder; random weights without it")
    parser.add_argument("--image", type=Path, help="scan for --model")
    parser.add_argument("--shape", type=int, nargs=3, default=(160, 160, 128), metavar=("K", "J", "I"))
    parser.add_argument("--patch", type=int, nargs=3, default=(96, 96, 96), metavar=("K", "J", "I"))
    parser.add_argument("--classes", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    words = parser.parse_args()
    device = resolve_device(words.device)
    if words.model:
        if words.image is None:
            parser.error("--model needs --image")
        model = load_model(find_model(words.model))
        network = model.network
        image, plan = from_model(model, words.image)
    else:
        network, plan = synthetic(tuple(words.shape), tuple(words.patch), words.classes)
        image = np.random.default_rng(0).normal(size=(1, *plan.shape)).astype(np.float32)
    work = Work(network.to(device), image, plan, device, words.batch)
    report(measure(work, words.rounds), work)


if __name__ == "__main__":
    main()
