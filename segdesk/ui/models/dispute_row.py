"""Disputed parts as rows: where, how large, who against whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segdesk.core.box import Index3
from segdesk.core.labels import LabelTable
from segdesk.ui.models.columns import Column

if TYPE_CHECKING:
    from segdesk.review import Dispute


@dataclass(frozen=True, slots=True)
class DisputeRow:
    """One connected part on which the readers are not unanimous.

    Parameters
    ----------
    number : int
        Counted from 1, the largest first.
    centre_kji : tuple of int
        A voxel in it, near its middle: where the views go.
    voxels : int
        Its size.
    split : str
        Votes against each other: "2-1".
    labels : str
        What they disagree about: "anterior / background".
    who : str
        Who drew what: "anterior: Reader 1, Reader 2; background: Reader 3".
    is_undecided : bool
        Whether it holds voxels that no label won.
    """

    number: int
    centre_kji: Index3
    voxels: int
    split: str
    labels: str
    who: str
    is_undecided: bool


def dispute_rows(disputes: Sequence[Dispute], names: Sequence[str], table: LabelTable) -> tuple[DisputeRow, ...]:
    """Return a row per dispute.

    Parameters
    ----------
    disputes : sequence of Dispute
        The largest first.
    names : sequence of str
        Readers in the order of the masks they were found in.
    table : LabelTable
        Names of the labels.
    """
    return tuple(
        DisputeRow(
            each.id,
            each.centre_kji,
            each.size_voxels,
            each.split,
            " / ".join(table.name_of(value) for value in reversed(each.values)),
            "; ".join(
                f"{table.name_of(value)}: {', '.join(names[place] for place in places)}"
                for value, places in each.supporters
            ),
            each.undecided_voxels > 0,
        )
        for each in disputes
    )


def _split_text(row: DisputeRow) -> str:
    return "undecided" if row.is_undecided else row.split


def _split_tip(row: DisputeRow) -> str:
    why = ": no label won; background in the mask, and for an adjudicator to decide" if row.is_undecided else ""
    return f"Readers {row.split}{why}"


DISPUTE_COLUMNS: tuple[Column[DisputeRow], ...] = (
    Column("#", lambda row: str(row.number), lambda row: float(row.number), is_number=True, width_px=40),
    Column("Labels", lambda row: row.labels, tip=lambda row: row.who, width_px=0),
    Column("Split", _split_text, tip=_split_tip, help="Readers against each other", width_px=88),
    Column("Voxels", lambda row: str(row.voxels), lambda row: float(row.voxels), is_number=True, width_px=72),
)  # fmt: skip
"""The table of disputes from left to right."""
