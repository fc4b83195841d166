"""A training plan in words that someone who makes no networks can check."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from segdesk.nn.fingerprint import Fingerprint
from segdesk.nn.networks.registry import build_network
from segdesk.nn.plan_network import NetworkPlan
from segdesk.zoo.spec import ModelSpec, Normalisation

Spacing = tuple[float, float, float]


def median_image(seen: Fingerprint, spacing_kji_mm: Spacing | None) -> NDArray[np.float64]:
    """Return the median number of voxels along (k, j, i) after resampling to a spacing; None keeps the images'."""
    shapes = seen.shapes_kji.astype(np.float64)
    if spacing_kji_mm is not None and seen.spacings_kji_mm is not None:
        shapes = shapes * seen.spacings_kji_mm / np.array(spacing_kji_mm)
    return np.asarray(np.median(shapes, axis=0))


def plan_in_words(
    spec: ModelSpec, seen: Fingerprint, batch: int, planned: NetworkPlan | None, budget_mib: float
) -> tuple[str, ...]:
    """Tell what the data are like and what will be trained on them, a sentence or two per line.

    Parameters
    ----------
    spec : ModelSpec
        What will be trained.
    seen : Fingerprint
        Of the training cases.
    batch : int
        Patches per step.
    planned : NetworkPlan, optional
        Where depth and patch follow from the memory.
    budget_mib : float
        That memory.
    """
    return (
        _data(seen),
        _labels(spec, seen),
        _grid(spec),
        _intensities(spec.channels[0].normalisation),
        _patch(spec, seen),
        _network(spec),
        _steps(batch, planned, budget_mib),
    )


def _data(seen: Fingerprint) -> str:
    text = f"{seen.cases} training cases; the median one has {_by(np.median(seen.shapes_kji, axis=0))} voxels"
    if seen.spacings_kji_mm is None:
        return f"{text}, whose size is not known in every case."
    return f"{text} of {_mm(np.median(seen.spacings_kji_mm, axis=0))} (along k x j x i)."


def _labels(spec: ModelSpec, seen: Fingerprint) -> str:
    shares, present = seen.class_shares[1:], seen.cases_with_class[1:]
    rarest = int(np.argmin(shares))
    text = f"The labels fill {100 * sum(shares):.2g} % of the voxels"
    if len(shares) > 1:
        text += f"; the rarest, {spec.labels[rarest].name}, {100 * shares[rarest]:.2g} %"
    missing = [f"{label.name} in {n}" for label, n in zip(spec.labels, present, strict=True) if n < seen.cases]
    return f"{text}. Not in every case: {', '.join(missing)} of {seen.cases}." if missing else f"{text}."


def _grid(spec: ModelSpec) -> str:
    if spec.spacing_kji_mm is None:
        return "Images keep their own voxels."
    if not spec.uses_slice_distance:
        return f"Slices are brought to pixels of {_mm(spec.spacing_kji_mm[1:])}, one by one."
    turned = f", turned to {spec.orientation}" if spec.orientation else ""
    return f"Images are brought to voxels of {_mm(spec.spacing_kji_mm)}{turned}."


def _intensities(how: Normalisation) -> str:
    if how.kind == "window":
        return (
            f"Intensities are cut to {how.low:.0f} to {how.high:.0f}, the range under the labels, on one scale for all."
        )
    if how.kind == "none":
        return "Intensities stay as they are."
    if how.kind == "percentiles":
        return "Intensities are scaled to 0 to 1 between two percentiles of each image."
    return "Intensities are scaled by the mean and the spread of each image."


def _patch(spec: ModelSpec, seen: Fingerprint) -> str:
    patch = np.array(spec.patch_kji[-spec.dimensions :])
    image = median_image(seen, spec.spacing_kji_mm)[-spec.dimensions :]
    size = f" ({_mm(patch * np.array(spec.spacing_kji_mm[-spec.dimensions :]))})" if spec.spacing_kji_mm else ""
    share = float(np.prod(np.minimum(patch, image)) / np.prod(image))
    what = "box" if spec.dimensions == 3 else "rectangle"
    whole = f"a typical {'image' if spec.dimensions == 3 else 'slice'}"
    part = f"all of {whole}" if share > 0.95 else f"{100 * share:.0f} % of {whole}"
    return f"The network sees a {what} of {_by(patch)} voxels{size} at once, {part}.{_slices(spec)}"


def _slices(spec: ModelSpec) -> str:
    """Tell what a 2D model sees besides one slice across k; nothing of others."""
    count = 2 * spec.slice_context
    text = f" With each slice it sees its {count} nearest neighbours." if count else ""
    if len(spec.views) > 1:
        text += " It learns from slices across all three axes, and can be run along them."
    return text


def _network(spec: ModelSpec) -> str:
    with torch.device("meta"):
        network = build_network(
            spec.network,
            dimensions=spec.dimensions,
            in_channels=spec.input_channels,
            out_channels=len(spec.label_values),
        )
    count = sum(parameter.numel() for parameter in network.parameters())
    widths = spec.network.parameters.get("widths")
    levels = f" with {len(widths)} levels of resolution" if isinstance(widths, list) else ""
    return f"Network: {spec.network.name.replace('_', ' ')}{levels}, {count / 1e6:.2g} million parameters."


def _steps(batch: int, planned: NetworkPlan | None, budget_mib: float) -> str:
    text = f"Each step learns from {batch} of these"
    if planned is None:
        return f"{text}."
    return f"{text}; it needs about {planned.memory_mib:.0f} MiB of memory (the plan may use {budget_mib:.0f} MiB)."


def _by(lengths: Sequence[float] | NDArray) -> str:
    return " x ".join(f"{n:.0f}" for n in lengths)


def _mm(lengths: Sequence[float] | NDArray) -> str:
    return " x ".join(f"{n:.3g}" for n in lengths) + " mm"
