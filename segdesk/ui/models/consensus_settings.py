"""How reads are merged, as the user is setting it."""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction
from typing import Any

from segdesk.core.events import Property, Signal
from segdesk.session.panel import MergeOptions


class Method(StrEnum):
    """Ways to merge; the values are those of `segdesk.review.consensus`."""

    MAJORITY = "majority"
    QUORUM = "quorum"
    STAPLE = "staple"


class Domain(StrEnum):
    """Where kappa, alpha and STAPLE look."""

    UNION = "union"
    WHOLE = "whole"


METHOD_WORDS = {Method.MAJORITY: "Majority", Method.QUORUM: "Quorum", Method.STAPLE: "STAPLE"}
METHOD_HELP = {
    Method.MAJORITY: "A label wins with more than half of the votes; a tie stays undecided.",
    Method.QUORUM: "A label wins when it alone reaches the quorum; otherwise the voxel stays undecided.",
    Method.STAPLE: "Weighs each reader by a sensitivity and specificity estimated from all reads.",
}
DOMAIN_WORDS = {Domain.UNION: "Around the reads", Domain.WHOLE: "Whole image"}


class ConsensusSettings:
    """Method, quorum and domain.

    Attributes
    ----------
    method, domain : Property
        One of `Method`, `Domain`.
    quorum : Property of str
        A fraction ("2/3") or a count ("2"); only used by the quorum method.
    margin : Property of int
        Voxels around the union box.
    changed : Signal
        Something that changes the result was changed.
    """

    changed = Signal()

    def __init__(self) -> None:
        self.method: Property[Method] = Property(Method.STAPLE)
        self.quorum: Property[str] = Property("2/3")
        self.domain: Property[Domain] = Property(Domain.UNION)
        self.margin: Property[int] = Property(10, minimum=0, maximum=100, unit="voxels")
        for prop in (self.method, self.quorum, self.domain, self.margin):
            prop.changed.connect(self._announce)

    def problem(self) -> str:
        """Return what is wrong with the settings, "" when nothing is."""
        if self.method.value is not Method.QUORUM:
            return ""
        return quorum_problem(self.quorum.value)

    @property
    def options(self) -> MergeOptions:
        """The settings as the session takes them; a quorum only where the method has one."""
        quorum = self.quorum.value.strip() if self.method.value is Method.QUORUM else None
        return MergeOptions(self.method.value.value, quorum, self.domain.value.value, self.margin.value)

    def adopt(self, options: MergeOptions) -> None:
        """Show what a merge was made with."""
        self.method.value = Method(options.method)
        self.quorum.value = options.quorum or self.quorum.value
        self.domain.value = Domain(options.domain)
        self.margin.value = options.margin

    def _announce(self, value: Any) -> None:
        self.changed.emit()


def quorum_problem(text: str) -> str:
    """Return why a text is no quorum, "" when it is one."""
    try:
        quorum = Fraction(text.strip())
    except (ValueError, ZeroDivisionError):
        return "A quorum is a fraction such as 2/3, or a number of readers such as 2."
    if quorum <= 0 or (quorum > 1 and quorum.denominator != 1):
        return "A quorum is a fraction above 0 and up to 1, or a whole number of readers."
    return ""
