"""Numbers as people read them; undefined is "-", never 0 and never "nan"."""

from __future__ import annotations

import math

UNDEFINED = "-"
"""What a table shows for NaN; the reason goes beside it (a note, a tooltip)."""

_ML_FROM_MM3 = 1e-3


def fixed(value: float, digits: int = 3) -> str:
    """Return the number with `digits` decimals; "-" for NaN or infinity.

    Parameters
    ----------
    value : float
        Any number.
    digits : int
        Decimals.
    """
    if not math.isfinite(value):
        return UNDEFINED
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("-") and float(text) == 0 else text


def signed(value: float, digits: int = 1) -> str:
    """Return the number with its sign ("+1.5", "-0.3", "0.0"); "-" for NaN."""
    text = fixed(value, digits)
    return text if text == UNDEFINED or float(text) <= 0 else f"+{text}"


def volume(volume_mm3: float) -> str:
    """Return a volume in the unit that reads best: mm³ below 1 mL, mL from there."""
    if not math.isfinite(volume_mm3):
        return UNDEFINED
    if abs(volume_mm3) < 1000:
        return f"{volume_mm3:.0f} mm³"
    return f"{volume_mm3 * _ML_FROM_MM3:.2f} mL"


def percent(fraction: float, digits: int = 0) -> str:
    """Return a fraction as a percentage; "-" for NaN."""
    return UNDEFINED if not math.isfinite(fraction) else f"{100 * fraction:.{digits}f} %"


def mean_with_counts(mean: float, n: int, n_undefined: int, digits: int = 3) -> str:
    """Return a mean with what it rests on: "0.873 (n 4, 1 undefined)"."""
    counts = f"n {n}" if n_undefined == 0 else f"n {n}, {n_undefined} undefined"
    return f"{fixed(mean, digits)} ({counts})"


def count(number: int, singular: str, plural: str = "") -> str:
    """Return a number with its noun: "1 case", "3 cases"."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}".replace(",", " ")


def duration(seconds: float) -> str:
    """Return a span of time: "0:08", "12:30", "1:02:03"; "-" for NaN."""
    if not math.isfinite(seconds):
        return UNDEFINED
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def size_kji(shape_kji: tuple[int, ...], spacing_kji_mm: tuple[float, ...] | None) -> str:
    """Return a grid's size in the order people know, columns x rows x slices, with its spacing."""
    voxels = " × ".join(str(n) for n in reversed(shape_kji))
    if spacing_kji_mm is None:
        return voxels
    spacing = " × ".join(f"{s:.3g}" for s in reversed(spacing_kji_mm))
    return f"{voxels} · {spacing} mm"
