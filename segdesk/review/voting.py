"""Majority and quorum, in exact arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from segdesk.errors import ConsensusError
from segdesk.review.patterns import VotePatterns

UNDECIDED = -1
"""In place of a class: no class won."""

DEFAULT_QUORUM = "2/3"


def parse_quorum(text: str | float | Fraction, total: Fraction) -> Fraction:
    """Return the votes a class needs.

    Parameters
    ----------
    text : str, int, float or Fraction
        A fraction in (0, 1] ("2/3", "0.5") of all votes, or a count: a whole number ("2").
    total : Fraction
        Sum of all raters' weights.

    Raises
    ------
    ConsensusError
        If it is neither, or more than all votes (``bad_quorum``).
    """
    try:
        quorum = Fraction(text) if isinstance(text, Fraction) else Fraction(str(text))
    except (ValueError, ZeroDivisionError):
        raise ConsensusError(f"The quorum {text!r} is no number; use for example 2/3.", code="bad_quorum") from None
    is_count = isinstance(text, int) or (isinstance(text, str) and text.strip().isdigit())
    needed = quorum if is_count else quorum * total
    if quorum <= 0 or needed > total:
        raise ConsensusError(
            f"The quorum {text} is outside what {float(total):g} votes can reach; use a fraction up to 1 or a count.",
            code="bad_quorum",
        )
    return needed


def majority(patterns: VotePatterns, weights: Sequence[Fraction]) -> NDArray[np.intp]:
    """Return per pattern the class with more than half of all votes, else `UNDECIDED`."""
    half = sum(weights, Fraction(0)) / 2
    return _winners(patterns, weights, lambda votes: votes > half)


def quorum(patterns: VotePatterns, weights: Sequence[Fraction], needed: Fraction) -> NDArray[np.intp]:
    """Return per pattern the only class with at least `needed` votes, else `UNDECIDED`."""
    return _winners(patterns, weights, lambda votes: votes >= needed)


def _winners(patterns: VotePatterns, weights: Sequence[Fraction], wins: Callable[[Fraction], bool]) -> NDArray[np.intp]:
    winners = np.full(len(patterns.votes), UNDECIDED, np.intp)
    for row, votes in enumerate(patterns.votes):
        tally: dict[int, Fraction] = {}
        for place, weight in zip(votes, weights, strict=True):
            tally[int(place)] = tally.get(int(place), Fraction(0)) + weight
        reached = [place for place, total in tally.items() if wins(total)]
        if len(reached) == 1:
            winners[row] = reached[0]
    return winners
