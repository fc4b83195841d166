"""Label tables and label maps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from segdesk.core.box import Box
from segdesk.core.counting import value_counts
from segdesk.core.geometry import Grid
from segdesk.core.provenance import Origin, OriginKind
from segdesk.errors import InvalidMask, ShapeMismatch, Warn

LabelArray = NDArray[np.uint8] | NDArray[np.uint16]
Colour = tuple[int, int, int]

PALETTE: tuple[Colour, ...] = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66),
    (0, 114, 178), (213, 94, 0), (204, 121, 167), (153, 221, 255),
    (187, 204, 51), (255, 170, 187), (170, 170, 0), (119, 170, 221),
)  # fmt: skip
"""First seven: Okabe and Ito 2008 without black; the rest from Tol's light scheme; colour-blind safe."""


@dataclass(frozen=True, slots=True)
class Code:
    """A term of a coding scheme: "10200004" of "SCT" (SNOMED CT) means "Liver"."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Concept:
    """What a label stands for, in the codes of DICOM Segmentation (PS3.3 C.8.20.2).

    Parameters
    ----------
    type : Code
        The thing itself: "Liver", "Neoplasm".
    category : Code, optional
        Its kind: "Anatomical Structure", "Morphologically Altered Structure".
    modifier : Code, optional
        Laterality or the like: "Left".
    region : Code, optional
        The organ a thing that is none lies in.
    """

    type: Code
    category: Code | None = None
    modifier: Code | None = None
    region: Code | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """One label: its number in the array, its name, its colour, and its coded meaning where there is one."""

    value: int
    name: str
    colour_rgb: Colour
    concept: Concept | None = None

    @classmethod
    def default(cls, value: int) -> Label:
        """Return a label with a made-up name and a palette colour."""
        return cls(value, f"Label {value}", PALETTE[(value - 1) % len(PALETTE)])


class LabelTable:
    """Labels by value, in ascending order; 0 is background and never listed.

    Parameters
    ----------
    labels : iterable of Label
        Values must be unique and >= 1.

    Raises
    ------
    InvalidMask
        If a value is twice there or below 1.
    """

    def __init__(self, labels: Iterable[Label] = ()) -> None:
        self._labels: dict[int, Label] = {}
        for label in sorted(labels, key=lambda each: each.value):
            if label.value < 1 or label.value in self._labels:
                raise InvalidMask(
                    f"Label value {label.value} is used twice or is below 1; label values must be unique."
                )
            self._labels[label.value] = label

    @classmethod
    def for_values(cls, values: Iterable[int]) -> LabelTable:
        """Return a table with default names for the values; 0 is left out."""
        return cls(Label.default(value) for value in set(values) if value != 0)

    def __iter__(self) -> Iterator[Label]:
        """Iterate over the labels in ascending order of value."""
        return iter(self._labels.values())

    def __len__(self) -> int:
        """Return the number of labels without background."""
        return len(self._labels)

    def __contains__(self, value: object) -> bool:
        """Whether the value has a row."""
        return value in self._labels

    def __getitem__(self, value: int) -> Label:
        """Return the label of a value; KeyError when there is none."""
        return self._labels[value]

    def __eq__(self, other: object) -> bool:
        """Compare row by row."""
        return isinstance(other, LabelTable) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show values and names."""
        return f"LabelTable({{{', '.join(f'{x.value}: {x.name!r}' for x in self)}}})"

    @property
    def values(self) -> tuple[int, ...]:
        """The label values in ascending order."""
        return tuple(self._labels)

    def name_of(self, value: int) -> str:
        """Return the name of a value, also of one without a row."""
        label = self._labels.get(value)
        return "background" if value == 0 else label.name if label else f"Label {value}"

    def with_label(self, label: Label) -> LabelTable:
        """Return a table in which `label` is added or replaces its value's row."""
        return LabelTable({**self._labels, label.value: label}.values())

    def merged(self, other: LabelTable) -> LabelTable:
        """Return the rows of both; where both have a value, this table's row is kept."""
        return LabelTable({**other._labels, **self._labels}.values())


@dataclass(slots=True)
class LabelMap:
    """Integer labels on a grid, in one or more layers of non-overlapping labels.

    Overlapping segments (DICOM SEG) live in further layers; the first one is
    what tools edit and metrics compare. Writes go through `segdesk.edit.paint`.

    Parameters
    ----------
    layers : tuple of ndarray of uint8 or uint16, shape (K, J, I) each
        At least one.
    geometry : Geometry or SliceStackGeometry
        Grid of every layer.
    table : LabelTable
        Names and colours.
    origin : Origin
        Where the mask came from.
    warnings : tuple of Warn
        What the user must be shown of how it was read.
    """

    layers: tuple[LabelArray, ...]
    geometry: Grid
    table: LabelTable
    origin: Origin = field(default_factory=lambda: Origin(OriginKind.IMPORT))
    warnings: tuple[Warn, ...] = ()

    def __post_init__(self) -> None:
        """Check shapes and types."""
        for layer in self.layers:
            if layer.shape != self.geometry.shape_kji:
                raise ShapeMismatch(f"A mask of shape {layer.shape} does not fit the grid {self.geometry.shape_kji}.")
            if layer.dtype not in (np.uint8, np.uint16):
                raise InvalidMask(f"Label maps are uint8 or uint16, not {layer.dtype}.")

    @classmethod
    def of(cls, array: NDArray[Any], geometry: Grid, table: LabelTable | None = None) -> LabelMap:
        """Wrap whole-number values of any dtype; default names where `table` is None.

        Raises
        ------
        InvalidMask
            If values are not whole, negative, above 65535 or not finite.
        """
        labels = as_labels(array)
        present = present_values(labels)
        known = table or LabelTable()
        return cls((labels,), geometry, known.merged(LabelTable.for_values(present)))

    @classmethod
    def empty(cls, geometry: Grid, table: LabelTable | None = None) -> LabelMap:
        """Return an all-background map on `geometry`."""
        names = table or LabelTable()
        dtype = np.uint16 if names.values and names.values[-1] > 255 else np.uint8
        return cls((cast(LabelArray, np.zeros(geometry.shape_kji, dtype)),), geometry, names, Origin(OriginKind.EMPTY))

    @property
    def array(self) -> LabelArray:
        """The first layer, shape (K, J, I)."""
        return self.layers[0]

    def copy(self) -> LabelMap:
        """Return a map with its own arrays: a snapshot for a worker."""
        layers = tuple(layer.copy() for layer in self.layers)
        return LabelMap(layers, self.geometry, self.table, self.origin, self.warnings)

    def widen(self) -> None:
        """Hold values up to 65535 from now on; arrays taken from the map before are not its own any more."""
        self.layers = tuple(layer.astype(np.uint16, copy=False) for layer in self.layers)

    def values(self) -> tuple[int, ...]:
        """Return the non-zero values present in any layer, ascending."""
        return tuple(sorted({value for layer in self.layers for value in present_values(layer)}))


def present_values(labels: LabelArray) -> tuple[int, ...]:
    """Return the non-zero values of a label array, ascending; one pass, no sort of voxels."""
    return tuple(int(value) for value in np.flatnonzero(value_counts(labels)) if value != 0)


def drawn_box(labels: LabelArray) -> Box | None:
    """Return the tight box around all labelled voxels, None where there are none."""
    return Box.around_slices(part != 0 if part.size and part.max() else None for part in labels)


def as_labels(array: NDArray[Any]) -> LabelArray:
    """Cast whole-number values to the smallest label dtype.

    Values within 1e-3 of a whole number count as whole: BraTS masks stored with a
    scale factor read 0.9999999702.

    Raises
    ------
    InvalidMask
        If values are not whole, not finite, negative or above 65535.
    """
    if array.dtype in (np.uint8, np.uint16) and array.flags.c_contiguous:
        return cast(LabelArray, array)
    if array.dtype == np.bool_:
        return np.ascontiguousarray(array, dtype=np.uint8)
    if array.dtype.kind not in "iuf":
        raise InvalidMask(f"A mask holds whole numbers, not {array.dtype}.")
    values = array
    if array.dtype.kind == "f":
        rounded = np.rint(array)
        if not np.isfinite(rounded).all() or np.abs(array - rounded).max(initial=0.0) > 1e-3:
            raise InvalidMask("The mask holds fractions or NaN (probabilities?); threshold them into labels first.")
        values = rounded
    low, high = (values.min(), values.max()) if values.size else (0, 0)
    if bool(low < 0) or bool(high > 65535):
        raise InvalidMask(f"Label values must lie in 0..65535; the file holds {low}..{high}.")
    return cast(LabelArray, np.ascontiguousarray(values, dtype=np.uint8 if high <= 255 else np.uint16))
