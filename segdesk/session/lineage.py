"""What the working mask was made from."""

from __future__ import annotations

from segdesk.core.labels import LabelMap
from segdesk.core.provenance import Origin, OriginKind
from segdesk.store.records import RaterKind, RaterRecord

_KINDS = {
    RaterKind.HUMAN: OriginKind.HUMAN,
    RaterKind.SIMULATED: OriginKind.SIMULATED,
    RaterKind.MODEL: OriginKind.MODEL,
}


def origin_kind_of(rater: RaterRecord) -> OriginKind:
    """Return who makes what this reader draws: a person, a simulation or a model."""
    return _KINDS[rater.kind]


class Lineage:
    """Parents of the working mask: once a draft was accepted it stays a parent, undone or not.

    A reader who has seen a draft accepted is anchored by it; scores must say so.
    """

    def __init__(self) -> None:
        self._parents: tuple[str, ...] = ()

    def start(self, parents: tuple[str, ...]) -> None:
        """Begin with the parents of a loaded mask."""
        self._parents = parents

    def add(self, parent: str) -> None:
        """Note one more mask the work builds on."""
        if parent not in self._parents:
            self._parents = (*self._parents, parent)

    def stamped(self, labels: LabelMap, rater: RaterRecord) -> LabelMap:
        """Return the map with the origin of the reader's own work."""
        origin = Origin(origin_kind_of(rater), rater.name, self._parents)
        return LabelMap(labels.layers, labels.geometry, labels.table, origin)
