"""How a reader is named and coloured wherever readers stand beside each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from segdesk.core.labels import PALETTE, Colour
from segdesk.store.records import RaterKind

_SUFFIX = {RaterKind.HUMAN: "", RaterKind.SIMULATED: " (simulated)", RaterKind.MODEL: " (model)"}
_READER_COLOURS = (*PALETTE[:4], *PALETTE[5:])
"""The palette without its darkest blue, which vanishes on a dark image when it is a thin line."""


@dataclass(frozen=True, slots=True)
class ReaderStyle:
    """One reader as shown.

    Parameters
    ----------
    name : str
        As the project knows the reader.
    kind : RaterKind
        Person, simulated or model.
    colour_rgb : tuple of int
        The reader's own in this case.
    """

    name: str
    kind: RaterKind
    colour_rgb: Colour

    @property
    def label(self) -> str:
        """The name with what must be said beside it: "Reader 2 (simulated)"."""
        suffix = _SUFFIX[self.kind]
        return self.name if suffix.strip(" ()") in self.name.casefold() else self.name + suffix


def reader_styles(readers: Iterable[tuple[str, RaterKind]]) -> dict[str, ReaderStyle]:
    """Give each reader a colour, in the order of their names, so that it does not depend on who came first."""
    ordered = sorted(dict(readers).items())
    return {
        name: ReaderStyle(name, kind, _READER_COLOURS[position % len(_READER_COLOURS)])
        for position, (name, kind) in enumerate(ordered)
    }
