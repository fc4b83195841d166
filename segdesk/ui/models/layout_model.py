"""Which views are shown."""

from __future__ import annotations

from segdesk.core.events import Property


class LayoutModel:
    """Views in a grid, one of which may fill it.

    Parameters
    ----------
    count : int
        Number of views.

    Attributes
    ----------
    maximised : Property of int or None
        Number of the view that fills the grid.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.maximised: Property[int | None] = Property(None)

    def toggle(self, number: int) -> None:
        """Maximise a view, or restore the grid."""
        if self.count > 1:
            self.maximised.value = None if self.maximised.value == number else number

    def shows(self, number: int) -> bool:
        """Whether a view is on screen."""
        return self.maximised.value in (None, number)

    def place(self, number: int) -> tuple[int, int]:
        """Return row and column of a view: two a row."""
        return divmod(number, 2)
