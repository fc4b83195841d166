"""Label maps in NRRD: plain ones, and Slicer's .seg.nrrd with names, colours and layers.

Keys: slicer.readthedocs.io, "Segmentation file format" (Segment0_ID, _Name, _Color,
_LabelValue, _Layer, _Extent, _Tags).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdesk.core.box import Box
from segdesk.core.labels import Label, LabelArray, LabelMap, LabelTable, as_labels, present_values
from segdesk.errors import InvalidMask
from segdesk.io.nrrd import NrrdFile, read_layers, write_nrrd
from segdesk.io.slicer_terms import concept_of_tags, tags_of_concept

_LISTS = ("list", "vector", "")


def read_nrrd_labels(file: NrrdFile) -> LabelMap:
    """Read label values, names, colours and layers.

    Two segments of different layers may use the same value (Slicer does so); such
    values are renumbered in the later layer, so that a value means one thing.

    Raises
    ------
    ReadError
        If data are missing.
    InvalidMask
        If the values are no whole numbers, or the file is a picture or a time series.
    """
    header = file.header
    stored = read_layers(file)
    if len(stored) > 1 and (header.list_kind not in _LISTS or not _segments(header.keys, len(stored))):
        raise InvalidMask(f"{file.path.name} is a picture or a series, not a mask.", path=file.path)
    layers = [as_labels(np.ascontiguousarray(layer)) for layer in stored]
    labels = _table_and_layers(layers, _segments(header.keys, len(layers)))
    table, layers = labels
    present = LabelTable.for_values(value for layer in layers for value in present_values(layer))
    return LabelMap(tuple(layers), header.geometry, table.merged(present))


def write_nrrd_labels(path: Path, labels: LabelMap, geometry: Any) -> None:
    """Write all layers with Slicer's segment keys."""
    wide = max((layer.dtype.itemsize for layer in labels.layers), default=1)
    dtype = np.uint16 if wide > 1 else np.uint8
    layers = np.stack([layer.astype(dtype, copy=False) for layer in labels.layers])
    write_nrrd(path, layers, geometry, _keys(labels))


def _segments(keys: Mapping[str, str], layer_count: int) -> list[tuple[int, Label]]:
    """Return (layer, label) of each segment described in the keys.

    Slicer before 4.11 named neither: each segment was a layer of its own, drawn with 1.
    """
    found = []
    has_layer_each = layer_count > 1
    numbers = sorted({int(m.group(1)) for key in keys if (m := re.match(r"Segment(\d+)_ID$", key))})
    for n in numbers:
        value = _whole(keys.get(f"Segment{n}_LabelValue", "1" if has_layer_each else str(n + 1)))
        layer = _whole(keys.get(f"Segment{n}_Layer", str(n) if has_layer_each else "0"))
        if value is None or layer is None or value < 1:
            continue
        name = keys.get(f"Segment{n}_Name", f"Label {value}")
        colour = _colour(keys.get(f"Segment{n}_Color", ""), value)
        found.append((layer, Label(value, name, colour, concept_of_tags(keys.get(f"Segment{n}_Tags", "")))))
    return found


def _whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\s*-?\d{1,9}\s*", text) else None


def _colour(text: str, value: int) -> tuple[int, int, int]:
    parts = text.split()
    if len(parts) != 3 or not all(re.fullmatch(r"[0-9.eE+-]+", part) for part in parts):
        return Label.default(value).colour_rgb
    red, green, blue = (min(255, max(0, round(float(part) * 255))) for part in parts)
    return red, green, blue


def _table_and_layers(
    layers: list[LabelArray], segments: list[tuple[int, Label]]
) -> tuple[LabelTable, list[LabelArray]]:
    """Give every segment its own value across layers."""
    taken: dict[int, Label] = {}
    free = max(
        [label.value for _, label in segments] + [v for layer in layers for v in present_values(layer)], default=0
    )
    for number, label in segments:
        if label.value not in taken:
            taken[label.value] = label
            continue
        free += 1
        taken[free] = replace(label, value=free)
        if number < len(layers):
            layers[number] = _renumbered(layers[number], label.value, free)
    return LabelTable(taken.values()), layers


def _renumbered(layer: LabelArray, old: int, new: int) -> LabelArray:
    wide: NDArray[Any] = layer.astype(np.uint16)
    wide[layer == old] = new
    return as_labels(wide) if new > 255 else wide.astype(np.uint8)


def _keys(labels: LabelMap) -> dict[str, str]:
    """Return Slicer's keys for every label, present or not."""
    keys = {
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
    }
    homes = {
        value: number for number, layer in reversed(list(enumerate(labels.layers))) for value in present_values(layer)
    }
    for n, label in enumerate(labels.table):
        number = homes.get(label.value, 0)
        prefix = f"Segment{n}_"
        keys[f"{prefix}ID"] = f"Segment_{label.value}"
        keys[f"{prefix}Name"] = label.name
        keys[f"{prefix}NameAutoGenerated"] = "0"
        keys[f"{prefix}Color"] = " ".join(f"{part / 255:.6g}" for part in label.colour_rgb)
        keys[f"{prefix}ColorAutoGenerated"] = "0"
        if label.concept is not None:
            keys[f"{prefix}Tags"] = tags_of_concept(label.concept)
        keys[f"{prefix}LabelValue"] = str(label.value)
        keys[f"{prefix}Layer"] = str(number)
        keys[f"{prefix}Extent"] = _extent(labels.layers[number] == label.value)
    return keys


def _extent(mask: NDArray[np.bool_]) -> str:
    """Return "i0 i1 j0 j1 k0 k1", inclusive; Slicer writes 0 -1 for empty."""
    box = Box.around(mask)
    if box is None:
        return "0 -1 0 -1 0 -1"
    (k0, j0, i0), (k1, j1, i1) = box.start_kji, box.stop_kji
    return f"{i0} {i1 - 1} {j0} {j1 - 1} {k0} {k1 - 1}"
