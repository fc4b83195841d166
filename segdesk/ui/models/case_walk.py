"""The next and the previous case."""

from __future__ import annotations

from collections.abc import Sequence


def neighbour(case_ids: Sequence[str], present: str | None, steps: int) -> str | None:
    """Return the case so many steps on; None at the end of the list and in an empty one.

    Parameters
    ----------
    case_ids : sequence of str
        In their order.
    present : str or None
        The open case; without one the walk starts before the first (after the last) case.
    steps : int
        Positive forward, negative back.
    """
    if present in case_ids:
        target = case_ids.index(present) + steps
    else:
        target = steps - 1 if steps > 0 else len(case_ids) + steps
    return case_ids[target] if 0 <= target < len(case_ids) else None
