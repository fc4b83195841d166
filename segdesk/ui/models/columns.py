"""A table as data: what each column shows, sorts by and explains."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Row = TypeVar("Row")
SortKey = float | str


def _no_tip(row: object) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """One column of a table of `Row`.

    Parameters
    ----------
    title : str
        Header.
    text : callable
        What a cell shows.
    sort : callable, optional
        What rows are ordered by; the text by default. NaN sorts last in ascending order.
    tip : callable, optional
        The tooltip: the reason of a "-", the full form of a short text.
    is_number : bool
        Numbers are aligned to the right.
    help : str
        Tooltip of the header: the definition of what is shown.
    width_px : int
        Start width; 0 takes the room that is left.
    """

    title: str
    text: Callable[[Row], str]
    sort: Callable[[Row], SortKey] | None = None
    tip: Callable[[Row], str] = _no_tip
    is_number: bool = False
    help: str = ""
    width_px: int = 96

    def sort_key(self, row: Row) -> SortKey:
        """Return what a row is ordered by in this column; NaN becomes infinity, so that it is last."""
        key = self.sort(row) if self.sort else self.text(row).casefold()
        return math.inf if isinstance(key, float) and math.isnan(key) else key
