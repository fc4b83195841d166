"""What the inference child can be asked: each operation reads a request, fills the parent's blocks, and answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segdesk.core.inside import Layer
from segdesk.core.progress import Progress
from segdesk.core.volume import Volume
from segdesk.nn.explain import explain
from segdesk.nn.inside import look_inside
from segdesk.nn.predict import predict
from segdesk.nn.window_cost import window_cost
from segdesk.workers.messages import (
    Message,
    explain_options_from_json,
    inside_options_from_json,
    options_from_json,
    volume_from_json,
)
from segdesk.workers.shared_array import ArrayRef, BorrowedBlocks


def run(request: Message, blocks: BorrowedBlocks, report: Progress) -> Message:
    """Do what a request asks for; raises what the operation raises.

    Parameters
    ----------
    request : Message
        With "op", "model", "options", "channels" and the blocks of the answer.
    blocks : BorrowedBlocks
        The parent's.
    report : Progress
        To the parent.
    """
    channels = {name: volume_from_json(fields, blocks) for name, fields in request["channels"].items()}
    return _OPERATIONS[request["op"]](request, channels, blocks, report)


def _predict(request: Message, channels: Mapping[str, Volume], blocks: BorrowedBlocks, report: Progress) -> Message:
    prediction = predict(channels, Path(request["model"]), options_from_json(request["options"]), report)
    blocks.view(ArrayRef.from_json(request["labels"]))[...] = prediction.labels.array
    if request["probabilities"] is not None:
        blocks.view(ArrayRef.from_json(request["probabilities"]))[...] = prediction.probabilities
    if request["uncertainty"] is not None:
        blocks.view(ArrayRef.from_json(request["uncertainty"]))[...] = prediction.uncertainty
    origin = prediction.labels.origin
    return {
        "manifest": dict(prediction.manifest),
        "origin": {
            "author": origin.author,
            "parameters": dict(origin.parameters),
            "weights_sha256": origin.weights_sha256,
            "created": origin.created.isoformat(),
        },
    }


def _explain(request: Message, channels: Mapping[str, Volume], blocks: BorrowedBlocks, report: Progress) -> Message:
    explanation = explain(channels, Path(request["model"]), explain_options_from_json(request["options"]), report)
    blocks.view(ArrayRef.from_json(request["heat"]))[...] = explanation.heat
    return {"manifest": dict(explanation.manifest)}


def _look_inside(request: Message, channels: Mapping[str, Volume], blocks: BorrowedBlocks, report: Progress) -> Message:
    found = look_inside(channels, Path(request["model"]), inside_options_from_json(request["options"]), report)
    shapes = {name: _fill(request[name], getattr(found, name), blocks) for name in ("filters", "image", "maps")}
    return {
        "shapes": shapes,
        "axis": found.axis,
        "layer": _layer_to_json(found.layer),
        "layers": [_layer_to_json(layer) for layer in found.layers],
        "filter_count": found.filter_count,
    }


def _cost(request: Message, channels: Mapping[str, Volume], blocks: BorrowedBlocks, report: Progress) -> Message:
    options = options_from_json(request["options"])
    found = window_cost(channels, Path(request["model"]), options, report, calibrate=request["calibrate"])
    return {"windows": found.windows, "seconds_per_window": found.seconds_per_window, "device": found.device}


def _fill(ref: Message, array: NDArray[np.float32], blocks: BorrowedBlocks) -> list[int]:
    """Write as many rows of an array as a flat block has room for; return the shape written."""
    room = blocks.view(ArrayRef.from_json(ref))
    rows = array[: len(room) // max(1, array[0].size)]
    room[: rows.size] = rows.ravel()
    return list(rows.shape)


def _layer_to_json(layer: Layer) -> Message:
    return {"name": layer.name, "channels": layer.channels, "size": list(layer.size)}


_OPERATIONS: Mapping[str, Callable[[Message, Mapping[str, Volume], BorrowedBlocks, Progress], Message]] = {
    "predict": _predict,
    "explain": _explain,
    "inside": _look_inside,
    "cost": _cost,
}
