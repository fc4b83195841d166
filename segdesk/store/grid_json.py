"""Grids and label tables as JSON, exactly: floats survive bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from segdesk.core.geometry import Geometry, Grid, SliceStackGeometry
from segdesk.core.labels import Label, LabelTable
from segdesk.core.provenance import Origin, OriginKind
from segdesk.io.label_json import concept_from_json, concept_to_json
from segdesk.store.times import from_text, to_text

Json = Mapping[str, Any]


def grid_to_json(grid: Grid) -> dict[str, Any]:
    """Return the JSON form of a grid."""
    common = {
        "shape_kji": list(grid.shape_kji),
        "orientation_known": grid.orientation_known,
        "spacing_known": grid.spacing_known,
        "source": grid.source,
        "frame_of_reference_uid": grid.frame_of_reference_uid,
    }
    if isinstance(grid, Geometry):
        return {"kind": "regular", **common, "affine_kji_to_lps": grid.affine_kji_to_lps.tolist()}
    slices = {
        "slice_affines_ji_to_lps": grid.slice_affines_ji_to_lps.tolist(),
        "thickness_k_mm": grid.thickness_k_mm.tolist(),
    }
    return {"kind": "stack", **common, **slices}


def grid_from_json(value: Json) -> Grid:
    """Return the grid of `grid_to_json`; KeyError, TypeError or ValueError when it is none."""
    k, j, i = (int(n) for n in value["shape_kji"])
    common: dict[str, Any] = {
        "orientation_known": bool(value["orientation_known"]),
        "spacing_known": bool(value["spacing_known"]),
        "source": str(value["source"]),
        "frame_of_reference_uid": value["frame_of_reference_uid"],
    }
    if value["kind"] == "regular":
        return Geometry((k, j, i), np.array(value["affine_kji_to_lps"], np.float64), **common)
    affines = np.array(value["slice_affines_ji_to_lps"], np.float64).reshape(k, 4, 3)
    thickness_mm = np.array(value["thickness_k_mm"], np.float64).reshape(k)
    return SliceStackGeometry((k, j, i), affines, thickness_mm, **common)


def table_to_json(table: LabelTable) -> list[dict[str, Any]]:
    """Return the JSON form of a label table."""
    return [
        {"value": each.value, "name": each.name, "colour_rgb": list(each.colour_rgb), **concept_to_json(each.concept)}
        for each in table
    ]


def table_from_json(rows: list[Json]) -> LabelTable:
    """Return the label table of `table_to_json`."""
    return LabelTable(_label(row) for row in rows)


def _label(row: Json) -> Label:
    red, green, blue = (int(c) for c in row["colour_rgb"])
    return Label(int(row["value"]), str(row["name"]), (red, green, blue), concept_from_json(row))


def origin_to_json(origin: Origin) -> dict[str, Any]:
    """Return the JSON form of an origin."""
    return {
        "kind": origin.kind.value,
        "author": origin.author,
        "parents": list(origin.parents),
        "parameters": dict(origin.parameters),
        "weights_sha256": origin.weights_sha256,
        "created": to_text(origin.created),
    }


def origin_from_json(value: Json) -> Origin:
    """Return the origin of `origin_to_json`."""
    return Origin(
        OriginKind(value["kind"]),
        str(value["author"]),
        tuple(str(parent) for parent in value["parents"]),
        dict(value["parameters"]),
        value["weights_sha256"],
        from_text(value["created"]),
    )
