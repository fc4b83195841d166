"""What a merge says: voxels, readers, agreement and warnings, as rows for the window."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segdesk.core.labels import LabelTable


@dataclass(frozen=True, slots=True)
class ReaderQuality:
    """One reader against the merged result.

    Parameters
    ----------
    name : str
        The reader.
    sensitivity, specificity : mapping of int to float
        By label value; NaN where undefined.
    leave_one_out_dice : mapping of int to float
        By label value: Dice against the others' consensus.
    """

    name: str
    sensitivity: Mapping[int, float]
    specificity: Mapping[int, float]
    leave_one_out_dice: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class LabelAgreement:
    """How far the readers agree on one label; the matrix is in the order of `MergeView.names`."""

    value: int
    name: str
    mean_dice: float
    least_dice: float
    matrix: tuple[tuple[float, ...], ...]
    gci: float


@dataclass(frozen=True, slots=True)
class MergeView:
    """A merge as the window shows it.

    Parameters
    ----------
    method : str
        How it was merged.
    names : tuple of str
        Readers in the order of the matrices.
    consensus_voxels, disputed_voxels, undecided_voxels : int
        Labelled voxels; those on which not all agree; those which no label won.
    readers, labels : tuple
        Per reader and per label.
    alpha, kappa : float
        Krippendorff's alpha and Fleiss' kappa, over the domain.
    domain : str
        What they were computed over, in words.
    warnings : tuple of str
        What must be shown beside the numbers.
    """

    method: str
    names: tuple[str, ...]
    consensus_voxels: int
    disputed_voxels: int
    undecided_voxels: int
    readers: tuple[ReaderQuality, ...]
    labels: tuple[LabelAgreement, ...]
    alpha: float
    kappa: float
    domain: str
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, payload: Mapping[str, Any], table: LabelTable) -> MergeView:
        """Read the JSON form of a consensus, whose fields are fixed by the command line's contract."""
        agreement = payload["agreement"]
        labels = tuple(_label(int(value), row, table) for value, row in agreement["labels"].items())
        names = tuple(str(name) for name in agreement["raters"])
        left_out = {int(value): row.get("leave_one_out_dice") or [] for value, row in agreement["labels"].items()}
        voxels = payload["voxels"]
        return cls(
            str(payload["method"]),
            names,
            int(voxels["consensus"]),
            int(voxels["disputed"]),
            int(voxels["undecided"]),
            tuple(_reader(row, names, left_out) for row in payload["raters"]),
            labels,
            _number(agreement.get("krippendorff_alpha")),
            _number(agreement.get("fleiss_kappa")),
            domain_text(payload["domain"]),
            tuple(_warning(each) for each in payload.get("warnings", ())),
        )


def domain_text(domain: object) -> str:
    """Return what agreement was computed over: "box of 30 × 41 × 28 voxels, margin 10"."""
    if not isinstance(domain, Mapping) or not domain.get("box_kji"):
        return str(domain)
    start, stop = domain["box_kji"]
    size = " × ".join(str(b - a) for a, b in zip(reversed(start), reversed(stop), strict=True))
    return f"box of {size} voxels, margin {domain.get('margin', 0)}"


def _label(value: int, row: Mapping[str, Any], table: LabelTable) -> LabelAgreement:
    pairs = row["pairwise_dice"]
    matrix = tuple(tuple(_number(x) for x in line) for line in pairs["matrix"])
    return LabelAgreement(
        value, table.name_of(value), _number(pairs["mean"]), _number(pairs["min"]), matrix, _number(row.get("gci"))
    )


def _reader(
    row: Mapping[str, Any], names: tuple[str, ...], left_out: Mapping[int, Sequence[float | None]]
) -> ReaderQuality:
    name = str(row["name"])
    place = names.index(name) if name in names else -1
    leave_one_out = {value: _number(line[place]) for value, line in left_out.items() if 0 <= place < len(line)}
    return ReaderQuality(name, _by_label(row.get("sensitivity")), _by_label(row.get("specificity")), leave_one_out)


def _by_label(row: object) -> dict[int, float]:
    return {int(value): _number(x) for value, x in row.items()} if isinstance(row, Mapping) else {}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _warning(each: object) -> str:
    return str(each["message"]) if isinstance(each, Mapping) else str(each)
