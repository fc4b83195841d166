"""Every engine of segdesk beside MONAI's and nnU-Net's sliding windows: same network, same volume, same windows.

    python -m benchmarks.predict                            4.8 M parameters, 96^3 windows, 240 x 240 x 155
    python -m benchmarks.predict --device cuda
    python -m benchmarks.predict --model hippocampus-unet3d --image scan.nii.gz
    python -m benchmarks.predict --labels 25 --shape 512 512 600 --memory

One process, candidates in turns, so that a busy machine slows all of them; medians, and ratios
are what may be quoted. MONAI runs as its users run it: ``sliding_window_inference`` with its
defaults (overlap 0.25, constant weights) and an argmax over the float volume of every class;
nnU-Net's predictor, where nnunetv2 is installed, without mirroring; both and segdesk with the
same overlap. Each side's mask is compared with segdesk's in torch and float32. Random weights
decide by small margins: agreement means something with a trained model only.

--memory runs `segdesk.nn.predict.predict` once on a synthetic scan, with a tiny network, and
prints the peak memory of the process, the scan included.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from numpy.typing import NDArray
from safetensors.torch import save

from benchmarks.nnunet_predictor import nnunet_segment, nnunet_title
from segdesk.core.box import Index3
from segdesk.core.geometry import Geometry
from segdesk.core.prediction import EngineChoice, Precision, PredictOptions
from segdesk.core.progress import silent
from segdesk.core.volume import Volume
from segdesk.io import read_volume
from segdesk.nn.device import device_title, resolve_device
from segdesk.nn.engines.converted import convert, is_installed
from segdesk.nn.engines.runner import Runner, TorchRunner, computes_bf16
from segdesk.nn.loaded_model import LoadedModel, load_model
from segdesk.nn.memory import peak_memory_mib, start_measuring
from segdesk.nn.networks.registry import network_of
from segdesk.nn.predict import predict
from segdesk.nn.preprocess import preprocess
from segdesk.nn.stitch import ClassSink, Engine, stitch
from segdesk.nn.window import WindowPlan
from segdesk.zoo.catalogue import find_model
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.spec import Channel, LabelSpec, ModelSpec, NetworkSpec
from segdesk.zoo.writer import write_model_folder

Image = NDArray[np.float32]
Labels = NDArray[np.uint8]
Segment = Callable[[Image], Labels]

_UNET = NetworkSpec(
    name="unet", parameters={"widths": [16, 32, 64, 128, 256], "strides": [2, 2, 2, 2], "num_res_units": 2}
)
"""MONAI's U-Net of its tutorials; 4.8 M parameters in 3D."""

_TINY = NetworkSpec(name="residual_unet", parameters={"widths": [2, 4]})


@dataclass(frozen=True)
class Work:
    """What all sides do."""

    model: LoadedModel
    image: Image
    plan: WindowPlan
    device: torch.device
    batch: int

    def segdesk(self, runner: Runner) -> Labels:
        """Run our windows; the classes are decided slab by slab, on the device."""
        runner.make_ready()
        sink = ClassSink(self.plan.shape)
        stitch(Engine(runner, 3, self.device, self.device, self.batch), self.image, self.plan, sink, lambda done: None)
        return sink.classes

    @torch.inference_mode()
    def monai(self) -> Labels:
        """Run MONAI's windows."""
        network = self.model.network.to(self.device)
        inputs = torch.from_numpy(self.image)[None].to(self.device)
        logits = sliding_window_inference(inputs, self.plan.window, self.batch, network, self.plan.overlap)
        return torch.as_tensor(logits).argmax(dim=1)[0].to(torch.uint8).cpu().numpy()


@dataclass
class Side:
    """One way to do it, and what it took."""

    segment: Callable[[], Labels]
    seconds: list[float] = field(default_factory=list)
    peak_mib: float = 0.0
    labels: Labels = field(default_factory=lambda: np.zeros(0, np.uint8))

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)


def sides_of(work: Work) -> dict[str, Side]:
    """Return MONAI, nnU-Net and every engine that is here; say what is not."""
    sides = {"MONAI sliding_window_inference": Side(work.monai)}
    if title := nnunet_title():
        classes = len(work.model.spec.label_values)
        peer = nnunet_segment(work.model.network, work.plan.window, classes, work.plan.overlap, work.device)
        sides[title] = Side(lambda: peer(work.image))
    else:
        print("nnU-Net: nnunetv2 is not installed.")
    for runner in runners_of(work):
        sides[f"segdesk {runner.name}"] = Side(lambda runner=runner: work.segdesk(runner))
    return sides


def runners_of(work: Work) -> list[Runner]:
    """Return what can run the network here; converting is timed apart."""
    runners: list[Runner] = [TorchRunner(work.model.network, work.device)]
    if computes_bf16(work.device):
        runners.append(TorchRunner(work.model.network, work.device, Precision.BF16))
    else:
        print("bf16: this device has no instructions for it.")
    for engine, precision in _CONVERSIONS if work.device.type == "cpu" else ():
        if not is_installed(engine):
            print(f"{engine.value}: not installed.")
            continue
        began = time.perf_counter()
        runners.append(convert(work.model, engine, precision))
        print(f"{runners[-1].name}: converted in {time.perf_counter() - began:.1f} s.")
    return runners


_CONVERSIONS = (
    (EngineChoice.ONNXRUNTIME, Precision.FP32),
    (EngineChoice.OPENVINO, Precision.FP32),
    (EngineChoice.OPENVINO, Precision.BF16),
)


def measure(sides: dict[str, Side], device: torch.device, rounds: int) -> None:
    """Run all in turn; the first round warms up and is not counted."""
    for turn in range(rounds + 1):
        for side in sides.values():
            start_measuring(device)
            began = time.perf_counter()
            side.labels = side.segment()
            took = time.perf_counter() - began
            side.peak_mib = peak_memory_mib(device) or 0.0
            if turn:
                side.seconds.append(took)


def report(sides: dict[str, Side], work: Work, is_trained: bool) -> None:
    """Print one table."""
    parameters = sum(parameter.numel() for parameter in work.model.network.parameters()) / 1e6
    print(f"\nVolume {work.plan.shape}, window {work.plan.window}, {work.plan.count} windows, batch {work.batch}.")
    print(f"{work.model.spec.network.name}, {parameters:.1f} M parameters, {'trained' if is_trained else 'random'}.\n")
    monai, ours = sides["MONAI sliding_window_inference"], sides["segdesk torch-fp32"]
    print("| side | median | MONAI's time / this (range) | same label as torch-fp32 | lowest Dice of a label | peak |")
    print("|---|---|---|---|---|---|")
    for name, side in sides.items():
        ratios = [theirs / own for theirs, own in zip(monai.seconds, side.seconds, strict=True)]
        print(
            f"| {name} | {side.median:.3f} s | {statistics.median(ratios):.2f} x ({min(ratios):.2f} to "
            f"{max(ratios):.2f}) | {(side.labels == ours.labels).mean():.6f} | "
            f"{lowest_dice(side.labels, ours.labels):.5f} | {side.peak_mib:.0f} MiB |"
        )
    print("\nPeak: of the device on a GPU; on a CPU of the whole process, in which all engines stay loaded.")


def lowest_dice(a: Labels, b: Labels) -> float:
    """Return the smallest Dice of the labels that either has; NaN where there is none."""
    values = range(1, int(max(a.max(), b.max())) + 1)
    sizes = {value: int((a == value).sum() + (b == value).sum()) for value in values}
    dices = [2 * int(((a == v) & (b == v)).sum()) / size for v, size in sizes.items() if size]
    return min(dices, default=float("nan"))


def random_model(folder: Path, network: NetworkSpec, patch: Index3, labels: int) -> ModelFolder:
    """Write a model with random weights."""
    spec = ModelSpec(
        name="random",
        title="Random weights",
        dimensions=3,
        network=network,
        channels=(Channel(name="image"),),
        labels=tuple(LabelSpec(value=v, name=f"label {v}", colour_rgb=(v, v, v)) for v in range(1, labels + 1)),
        patch_kji=patch,
        weights_sha256="0" * 64,
        untrained=True,
    )
    torch.manual_seed(0)
    return write_model_folder(folder, spec, save(network_of(spec).state_dict()), "# Random weights\n")


def memory(words: argparse.Namespace, folder: Path) -> None:
    """Print the peak memory of one whole prediction."""
    model = random_model(folder / "tiny", _TINY, tuple(words.patch), words.labels)
    shape: Index3 = tuple(words.shape)
    scan = np.random.default_rng(0).integers(-1000, 1000, shape, np.int16)
    volume = Volume(scan, Geometry.from_spacing(shape))
    options = PredictOptions(words.device, words.overlap, engine=EngineChoice.TORCH, precision=Precision.FP32)
    manifest = predict({"image": volume}, model.path, options, silent).manifest
    drawn = sum(row["volume_mm3"] > 0 for row in manifest["labels"].values())
    floats_gib = (words.labels + 1) * np.prod(shape, dtype=np.int64) * 4 / 2**30
    print(f"{words.labels} labels ({drawn} drawn), {shape}, {manifest['windows']} windows of {tuple(words.patch)}.")
    print(f"Peak of the process, scan included: {manifest['peak_memory_mib'] / 1024:.2f} GiB (goal 6).")
    print(f"One float per class and voxel alone, as MONAI keeps it: {floats_gib:.2f} GiB.")
    print(f"{manifest['engine']} on {manifest['device']}, {manifest['seconds']['total']:.0f} s.")


def speed(words: argparse.Namespace, folder: Path) -> None:
    """Print the table of all sides."""
    device = resolve_device(words.device)
    load = os.getloadavg()[0]
    if words.model:
        model = load_model(find_model(words.model))
        image = preprocess({model.spec.channel_names[0]: read_volume(words.image)}, model.spec).array
    else:
        model = load_model(random_model(folder / "random", _UNET, tuple(words.patch), words.labels))
        image = np.random.default_rng(0).normal(size=(1, *words.shape)).astype(np.float32)
    k, j, i = image.shape[1:]
    plan = WindowPlan((k, j, i), model.window, overlap=words.overlap)
    work = Work(model, image, plan, device, words.batch)
    sides = sides_of(work)
    measure(sides, device, words.rounds)
    report(sides, work, bool(words.model))
    threads = torch.get_num_threads()
    print(f"{device_title(device)}, {platform.processor() or platform.machine()}, {threads} threads, ", end="")
    print(f"torch {torch.__version__}, Python {platform.python_version()}; load {load:.1f} at the start.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="model name or folder; random weights without it")
    parser.add_argument("--image", type=Path, help="scan for --model")
    parser.add_argument("--shape", type=int, nargs=3, default=(240, 240, 155), metavar=("K", "J", "I"))
    parser.add_argument("--patch", type=int, nargs=3, default=(96, 96, 96), metavar=("K", "J", "I"))
    parser.add_argument("--labels", type=int, default=3)
    parser.add_argument("--overlap", type=float, default=0.25)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="peak memory of one prediction with a tiny network")
    words = parser.parse_args()
    if words.model and words.image is None:
        parser.error("--model needs --image")
    with tempfile.TemporaryDirectory() as name:
        (memory if words.memory else speed)(words, Path(name))


if __name__ == "__main__":
    main()
