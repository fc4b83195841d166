"""Votes and STAPLE beside SimpleITK: equal masks first, ratios printed.

    python benchmarks/consensus.py [--slices 300] [--size 512] [--repeats 3]

Candidates take turns, so that a busy machine slows all of them; the median counts, and
ratios are what may be quoted. Both sides work on the whole grid.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import SimpleITK

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.review import consensus

UNDECIDED = 255


def reads(shape: tuple[int, int, int], raters: int, labels: int, seed: int = 0) -> list[np.ndarray]:
    """Ellipsoids that every rater draws a little elsewhere."""
    rng = np.random.default_rng(seed)
    k, j, i = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij", sparse=True)
    organs = [(rng.uniform(-0.6, 0.6, 3), rng.uniform(0.08, 0.25, 3)) for _ in range(labels)]
    drawn = []
    for _ in range(raters):
        array = np.zeros(shape, np.uint8)
        for value, (centre, radius) in enumerate(organs, 1):
            at, size = centre + rng.normal(0, 0.01, 3), radius * rng.uniform(0.95, 1.05)
            array[sum(((x - c) / r) ** 2 for x, c, r in zip((k, j, i), at, size, strict=True)) < 1] = value
        drawn.append(array)
    return drawn


def medians(repeats: int, *works: Callable[[], object]) -> list[float]:
    """Time works in turn; seconds."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(repeats):
        for taken, work in zip(times, works, strict=True):
            start = time.perf_counter()
            work()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def compare(name: str, method: str, drawn: Sequence[np.ndarray], peer: Callable[[], np.ndarray], repeats: int) -> None:
    geometry = Geometry.from_spacing(drawn[0].shape, (1.5, 0.8, 0.8))
    maps = [LabelMap.of(array, geometry) for array in drawn]

    def ours() -> np.ndarray:
        return consensus(maps, method=method, domain="whole").labels.array

    different = int(np.count_nonzero(ours() != peer()))
    if different:
        raise SystemExit(f"{name}: {different} voxels differ: not the same work, so no ratio.")
    ours_s, peer_s = medians(repeats, ours, peer)
    print(f"{name:<34} {ours_s * 1000:9.1f} ms   SimpleITK    {peer_s * 1000:9.1f} ms   {peer_s / ours_s:6.2f} x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    shape = (chosen.slices, chosen.size, chosen.size)

    one = reads(shape, 5, 1)
    images = [SimpleITK.GetImageFromArray(array) for array in one]
    binary = SimpleITK.STAPLEImageFilter()
    compare(
        "STAPLE, 5 raters", "staple", one,
        lambda: (SimpleITK.GetArrayViewFromImage(binary.Execute(images)) >= 0.5).astype(np.uint8), chosen.repeats,
    )  # fmt: skip

    many = reads(shape, 3, 25)
    pictures = [SimpleITK.GetImageFromArray(array) for array in many]

    def voted() -> np.ndarray:
        array = SimpleITK.GetArrayFromImage(SimpleITK.LabelVoting(pictures, UNDECIDED))
        array[array == UNDECIDED] = 0
        return array

    compare("majority, 3 raters, 25 labels", "majority", many, voted, chosen.repeats)

    thin = [np.ascontiguousarray(array[shape[0] // 2 :][:25]) for array in many]
    slices = [SimpleITK.GetImageFromArray(array) for array in thin]
    multi = SimpleITK.MultiLabelSTAPLEImageFilter()
    multi.SetLabelForUndecidedPixels(UNDECIDED)

    def estimated() -> np.ndarray:
        array = SimpleITK.GetArrayFromImage(multi.Execute(slices))
        array[array == UNDECIDED] = 0
        return array

    compare("multi-label STAPLE, 25 slices", "staple", thin, estimated, 1)


if __name__ == "__main__":
    main()
