"""What is known of a series from its headers, in words, for the browser."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.io.series import SeriesEntry
from segdesk.ui.models.number_text import UNDEFINED, count
from segdesk.ui.models.series_choice import SeriesRow

_TOWARDS = {"L": "left", "R": "right", "P": "posterior", "A": "anterior", "S": "superior", "I": "inferior"}
_TILT_DEGREES = 0.1
"""From here a grid counts as tilted (geometry check 9)."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of the panel: its name, its value, and whether it deserves a second look."""

    name: str
    value: str
    is_striking: bool = False


def voxels_text(entry: SeriesEntry) -> str:
    """Return columns × rows × slices, without the slices for one image."""
    k, j, i = entry.shape_kji
    return f"{i} × {j}" if k == 1 else f"{i} × {j} × {k}"


def spacing_text(entry: SeriesEntry) -> str:
    """Return the distances of voxel centres in mm, in the order of `voxels_text`; "-" when not known."""
    geometry = entry.geometry
    if not geometry.spacing_known:
        return UNDEFINED
    if isinstance(geometry, SliceStackGeometry):
        row_mm, column_mm = geometry.spacing_ji_mm
        return f"{column_mm:.3g} × {row_mm:.3g} × uneven"
    dk, dj, di = geometry.spacing_kji_mm
    plane = f"{di:.3g} × {dj:.3g}"
    return plane if entry.shape_kji[0] == 1 else f"{plane} × {dk:.3g}"


def tilt_degrees(geometry: Geometry) -> float:
    """Return the angle between the slice axis and the slices' normal, in degrees."""
    step, row, column = geometry.affine_kji_to_lps[:3, :3].T
    normal = np.cross(row, column)
    cosine = abs(float(step @ normal)) / float(np.linalg.norm(step) * np.linalg.norm(normal))
    return math.degrees(math.acos(min(1.0, cosine)))


def facts_of(row: SeriesRow) -> tuple[Fact, ...]:
    """Return the lines of the panel for one series."""
    entry = row.entry
    mm = spacing_text(entry)
    facts = [
        Fact("Kind", row.kind_text, row.is_stack),
        Fact("Voxels", voxels_text(entry)),
        Fact("Spacing", "not known" if mm == UNDEFINED else f"{mm} mm", mm == UNDEFINED or row.is_stack),
    ]
    if isinstance(entry.geometry, Geometry):
        facts += _facts_of_grid(entry, entry.geometry)
    if entry.worst_deviation_mm is not None:
        facts.append(Fact("Slices", _deviation_text(entry.worst_deviation_mm), row.is_stack))
    facts.append(
        Fact("Place from", "nowhere: no position" if entry.geometry.source == "none" else entry.geometry.source)
    )
    if entry.patient_position:
        facts.append(Fact("Patient", entry.patient_position))
    facts.append(Fact("Values", f"{entry.dtype}, {_size_text(entry)}"))
    facts.append(Fact("Files", count(entry.files, "file")))
    return tuple(facts)


def _deviation_text(worst_mm: float) -> str:
    """Say how far the worst slice is off; headers round to some 1e-4 mm."""
    return "evenly spaced" if worst_mm < 5e-4 else f"at most {worst_mm:.3f} mm off their place"


def _facts_of_grid(entry: SeriesEntry, geometry: Geometry) -> list[Fact]:
    facts = []
    if geometry.spacing_known:
        sizes = [n * step for n, step in zip(geometry.shape_kji, geometry.spacing_kji_mm, strict=True)]
        shown = sizes[::-1] if entry.shape_kji[0] > 1 else sizes[:0:-1]
        facts.append(Fact("Extent", " × ".join(f"{size:.4g}" for size in shown) + " mm"))
    letters = geometry.orientation
    if geometry.orientation_known:
        i, j, k = (_TOWARDS[letter] for letter in letters)
        facts.append(Fact("Axes", f"{letters}: columns to {i}, rows to {j}, slices to {k}"))
    else:
        facts.append(Fact("Axes", "left and right not known", is_striking=True))
    tilt = tilt_degrees(geometry)
    if tilt > _TILT_DEGREES:
        facts.append(Fact("Tilt", f"{tilt:.1f}°, kept as shear", is_striking=True))
    elif entry.shape_kji[0] > 1:
        facts.append(Fact("Tilt", "none"))
    return facts


def _size_text(entry: SeriesEntry) -> str:
    size_mib = entry.decoded_bytes / (1 << 20)
    return f"{size_mib / 1024:.1f} GiB" if size_mib >= 1024 else f"{size_mib:.3g} MiB"
