"""Overlap and surface distances beside SimpleITK and MONAI: answers checked equal first, ratios printed.

    python benchmarks/metrics.py [--slices 300] [--size 512] [--repeats 5]

Candidates take turns, so that a busy machine slows all of them; the median counts, and
ratios are what may be quoted.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
import SimpleITK
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.metrics import confusion, evaluate, surface_distances

SPACING_KJI_MM = (2.0, 0.8, 0.8)
LABELS = 25


def organs(shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """Ellipsoids of 25 labels inside the middle of the grid, as in a body scan."""
    rng = np.random.default_rng(seed)
    k, j, i = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij", sparse=True)
    labels = np.zeros(shape, np.uint8)
    for value in range(1, LABELS + 1):
        centre, radius = rng.uniform(-0.6, 0.6, 3), rng.uniform(0.08, 0.3, 3)
        ellipsoid = sum(((x - c) / r) ** 2 for x, c, r in zip((k, j, i), centre, radius, strict=True))
        labels[ellipsoid < 1] = value
    return labels


def shifted(labels: np.ndarray) -> np.ndarray:
    return np.roll(labels, (1, 2, 3), (0, 1, 2))


def medians(repeats: int, *works: Callable[[], object]) -> list[float]:
    """Time works in turn; seconds."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(repeats):
        for taken, work in zip(times, works, strict=True):
            start = time.perf_counter()
            work()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def show(name: str, peer: str, ours_s: float, peer_s: float) -> None:
    print(f"{name:<34} {ours_s * 1000:9.1f} ms   {peer:<12} {peer_s * 1000:9.1f} ms   {peer_s / ours_s:6.2f} x")


def require_close(name: str, ours: float, peer: float, tolerance: float) -> None:
    if not abs(ours - peer) <= tolerance:
        raise SystemExit(f"{name}: {ours} here, {peer} there: not the same work, so no ratio.")


def overlap(reference: np.ndarray, candidate: np.ndarray, repeats: int) -> None:
    images = [SimpleITK.GetImageFromArray(array) for array in (reference, candidate)]
    peer = SimpleITK.LabelOverlapMeasuresImageFilter()
    peer.Execute(*images)
    counts = confusion(reference, candidate)
    for value in counts.values:
        require_close(f"Dice of {value}", counts.of(value).dice, peer.GetDiceCoefficient(value), 1e-12)
    ours_s, peer_s = medians(repeats, lambda: confusion(reference, candidate), lambda: peer.Execute(*images))
    show(f"Dice, {len(counts.values)} labels", "SimpleITK", ours_s, peer_s)


def surfaces(name: str, reference: np.ndarray, candidate: np.ndarray, repeats: int) -> None:
    geometry = Geometry.from_spacing(reference.shape, SPACING_KJI_MM)

    def peer() -> tuple[float, float]:
        pair = candidate[None, None], reference[None, None]
        spacing = list(SPACING_KJI_MM)
        hd95 = compute_hausdorff_distance(*pair, include_background=True, percentile=95, spacing=spacing)
        assd = compute_average_surface_distance(*pair, include_background=True, symmetric=True, spacing=spacing)
        return float(hd95), float(assd)

    def ours() -> tuple[float, float]:
        distances = surface_distances(reference, candidate, geometry)
        return distances.hd95_mm, distances.assd_mm

    for what, mine, theirs in zip(("HD95", "ASSD"), ours(), peer(), strict=True):
        # MONAI's distances are float32.
        require_close(f"{what} of a {name}", mine, theirs, 1e-4)
    show(f"HD95 + ASSD, {name}", "MONAI", *medians(repeats, ours, peer))


def ball(shape: tuple[int, int, int], radius: float) -> np.ndarray:
    k, j, i = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij", sparse=True)
    return (k**2 + j**2 + i**2) < radius**2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    shape = (chosen.slices, chosen.size, chosen.size)
    reference = organs(shape)
    overlap(reference, shifted(reference), chosen.repeats)
    for name, radius in (("large organ", 0.5), ("small organ", 0.08)):
        mask = ball(shape, radius)
        surfaces(name, mask, shifted(mask), chosen.repeats)
    geometry = Geometry.from_spacing(shape, SPACING_KJI_MM)
    maps = LabelMap.of(shifted(reference), geometry), LabelMap.of(reference, geometry)
    (whole_s,) = medians(1, lambda: evaluate(*maps))
    print(f"{'every measure of 25 labels':<34} {whole_s * 1000:9.1f} ms")


if __name__ == "__main__":
    main()
