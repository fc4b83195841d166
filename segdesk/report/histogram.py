"""A histogram as SVG, in the page's own colours."""

from __future__ import annotations

from collections.abc import Sequence

from segdesk.report.document import Drawing

_WIDTH, _HEIGHT = 640, 170
_LEFT, _BOTTOM, _TOP = 36, 26, 16
BINS = 20
"""Bins over [0, 1], 0.05 wide."""


def histogram(values: Sequence[float], caption: str) -> Drawing:
    """Draw how values in [0, 1] are distributed, with the median as a line.

    Parameters
    ----------
    values : sequence of float
        Defined values only; a value of 1 counts in the last bin. Empty: axes alone.
    caption : str
        What is counted; say n there.
    """
    counts = [0] * BINS
    for value in values:
        counts[min(BINS - 1, max(0, int(value * BINS)))] += 1
    top = max(counts, default=0) or 1
    parts = [_axis(), *(_bar(index, count, top) for index, count in enumerate(counts) if count)]
    if values:
        parts.append(_median(_middle(sorted(values))))
    svg = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" class="histogram">{"".join(parts)}</svg>'
    return Drawing(svg, caption)


def _x(share: float) -> float:
    return _LEFT + share * (_WIDTH - _LEFT - 12)


def _axis() -> str:
    base = _HEIGHT - _BOTTOM
    ticks = "".join(
        f'<text x="{_x(tick / 10):.1f}" y="{base + 17}" text-anchor="middle">{tick / 10:.1f}</text>'
        for tick in range(0, 11, 2)
    )
    return f'<line x1="{_x(0):.1f}" y1="{base}" x2="{_x(1):.1f}" y2="{base}" class="axis"/>{ticks}'


def _bar(index: int, count: int, top: int) -> str:
    base = _HEIGHT - _BOTTOM
    height = (base - _TOP - 14) * count / top
    left, right = _x(index / BINS) + 1, _x((index + 1) / BINS) - 1
    place = f'x="{left:.1f}" y="{base - height:.1f}" width="{right - left:.1f}" height="{height:.1f}"'
    return (
        f'<rect {place} rx="2" class="bar"/>'
        f'<text x="{(left + right) / 2:.1f}" y="{base - height - 4:.1f}" text-anchor="middle">{count}</text>'
    )


def _median(value: float) -> str:
    x = _x(value)
    anchor, shift = ("end", -5) if value > 0.5 else ("start", 5)
    return (
        f'<line x1="{x:.1f}" y1="{_TOP - 2}" x2="{x:.1f}" y2="{_HEIGHT - _BOTTOM}" class="median"/>'
        f'<text x="{x + shift:.1f}" y="{_TOP - 4}" text-anchor="{anchor}">median {value:.3f}</text>'
    )


def _middle(ordered: list[float]) -> float:
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
