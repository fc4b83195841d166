"""What goes over the pipe between window and a child: one JSON object a line.

For inference, parent: ``{"op": "predict"|"explain"|"inside"|"cost", "id", "model", "options", "channels", ...}`` with
the blocks the answer goes to, and ``{"op": "cancel", "id"}``. Child: ``{"event": "ready"|"beat"|"progress"|"result"|
"error"|"cancelled", "id", ...}``. Names of patients and files of images are never sent.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from segdesk import errors
from segdesk.core.box import Box
from segdesk.core.explanation import ExplainMethod, ExplainOptions
from segdesk.core.geometry import Geometry, Grid, SliceStackGeometry
from segdesk.core.inside import InsideOptions
from segdesk.core.prediction import EngineChoice, Precision, PredictOptions, Uncertainty, ViewChoice
from segdesk.core.volume import IntensityUnit, Volume
from segdesk.errors import SegdeskError, WorkerError
from segdesk.workers.shared_array import ArrayRef, BorrowedBlocks

Message = dict[str, Any]


def encode(message: Message) -> str:
    """Return a message as one line, with its end."""
    return json.dumps(message, separators=(",", ":")) + "\n"


def decode(line: str) -> Message:
    """Return the message of a line; WorkerError when it is none."""
    try:
        message = json.loads(line)
    except ValueError as exc:
        raise WorkerError("A child process sent something that is no message.") from exc
    if not isinstance(message, dict):
        raise WorkerError("A child process sent something that is no message.")
    return message


def grid_to_json(grid: Grid) -> Message:
    """Return a grid as plain numbers, exactly."""
    known = {"orientation_known": grid.orientation_known, "spacing_known": grid.spacing_known, "source": grid.source}
    if isinstance(grid, Geometry):
        return {"shape_kji": grid.shape_kji, "affine": grid.affine_kji_to_lps.tolist(), **known}
    stack = {"slices": grid.slice_affines_ji_to_lps.tolist(), "thickness_k_mm": grid.thickness_k_mm.tolist()}
    return {"shape_kji": grid.shape_kji, **stack, **known}


def grid_from_json(fields: Message) -> Grid:
    """Read what `grid_to_json` wrote."""
    k, j, i = fields["shape_kji"]
    known = {name: fields[name] for name in ("orientation_known", "spacing_known", "source")}
    if "affine" in fields:
        return Geometry((k, j, i), np.array(fields["affine"]), **known)
    slices, thickness = np.array(fields["slices"]), np.array(fields["thickness_k_mm"])
    return SliceStackGeometry((k, j, i), slices, thickness, **known)


def volume_to_json(volume: Volume, array: ArrayRef) -> Message:
    """Return all of a volume that a network depends on; its voxels lie in `array`."""
    return {
        "array": array.to_json(),
        "grid": grid_to_json(volume.geometry),
        "unit": volume.unit.value,
        "modality": volume.modality,
        "time_points": volume.time_points,
        "padding_range": volume.padding_range,
    }


def volume_from_json(fields: Message, blocks: BorrowedBlocks) -> Volume:
    """Return the volume, looking at the parent's voxels."""
    padding = fields["padding_range"]
    return Volume(
        blocks.view(ArrayRef.from_json(fields["array"])),
        grid_from_json(fields["grid"]),
        unit=IntensityUnit(fields["unit"]),
        modality=fields["modality"],
        time_points=fields["time_points"],
        padding_range=None if padding is None else (padding[0], padding[1]),
    )


def options_to_json(options: PredictOptions) -> Message:
    """Return the options as plain values."""
    return {
        "device": options.device,
        "overlap": options.overlap,
        "roi": _box_to_json(options.roi),
        "flips": options.flips,
        "probabilities": options.probabilities,
        "uncertainty": options.uncertainty,
        "engine": options.engine,
        "precision": options.precision,
        "views": options.views,
    }


def options_from_json(fields: Message) -> PredictOptions:
    """Read what `options_to_json` wrote."""
    uncertainty = None if fields["uncertainty"] is None else Uncertainty(fields["uncertainty"])
    changed = {
        "roi": _box_from_json(fields["roi"]),
        "uncertainty": uncertainty,
        "engine": EngineChoice(fields["engine"]),
        "precision": Precision(fields["precision"]),
        "views": ViewChoice(fields["views"]),
    }
    return PredictOptions(**{**fields, **changed})


def explain_options_to_json(options: ExplainOptions) -> Message:
    """Return the options as plain values."""
    return {
        "label": options.label,
        "method": options.method.value,
        "device": options.device,
        "roi": _box_to_json(options.roi),
        "layer": options.layer,
    }


def explain_options_from_json(fields: Message) -> ExplainOptions:
    """Read what `explain_options_to_json` wrote."""
    changed = {"method": ExplainMethod(fields["method"]), "roi": _box_from_json(fields["roi"])}
    return ExplainOptions(**{**fields, **changed})


def inside_options_to_json(options: InsideOptions) -> Message:
    """Return the options as plain values."""
    return {
        "point_kji": options.point_kji,
        "axis": options.axis,
        "layer": options.layer,
        "device": options.device,
        "roi": _box_to_json(options.roi),
    }


def inside_options_from_json(fields: Message) -> InsideOptions:
    """Read what `inside_options_to_json` wrote."""
    k, j, i = fields["point_kji"]
    return InsideOptions(**{**fields, "point_kji": (k, j, i), "roi": _box_from_json(fields["roi"])})


def _box_to_json(box: Box | None) -> Any:
    return None if box is None else [box.start_kji, box.stop_kji]


def _box_from_json(fields: Any) -> Box | None:
    if fields is None:
        return None
    (k0, j0, i0), (k1, j1, i1) = fields
    return Box((k0, j0, i0), (k1, j1, i1))


def error_to_json(error: SegdeskError) -> Message:
    """Return class, message, code and path of an error."""
    return {"kind": type(error).__name__, **error.to_json()}


def error_from_json(fields: Message) -> SegdeskError:
    """Return the error as it was raised in the child; an unknown class becomes a WorkerError."""
    kind = getattr(errors, str(fields["kind"]), None)
    if not (isinstance(kind, type) and issubclass(kind, SegdeskError)):
        kind = WorkerError
    return kind(fields["message"], code=fields["code"], path=fields["path"])
