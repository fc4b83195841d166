"""The warm inference child: ``python -m segdesk.nn.serve``, started by `segdesk.workers.inference`.

Requests come as JSON lines on stdin, answers leave on stdout; everything else that
is printed goes to stderr, the log. A thread of its own sends beats, listens for
cancellation, and ends the process as soon as the parent is gone.
"""

from __future__ import annotations

import faulthandler
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from segdesk.core.progress import Cancelled
from segdesk.errors import OutOfMemory, SegdeskError
from segdesk.workers.messages import (
    Message,
    error_to_json,
    options_from_json,
    volume_from_json,
)
from segdesk.workers.parent_line import ParentLine
from segdesk.workers.shared_array import ArrayRef, BorrowedBlocks

if TYPE_CHECKING:
    from segdesk.core.prediction import Prediction, Predictor


def main() -> None:
    """Serve requests until the parent is gone."""
    faulthandler.enable()
    line = ParentLine.of_process()
    line.open()
    # Imported here: beats go out while torch loads.
    predict: Predictor = import_module("segdesk.nn.predict").predict
    line.send({"event": "ready"})
    while True:
        request = line.requests.get()
        line.send({**_answer(request, line, predict), "id": request["id"]})


def _answer(request: Message, line: ParentLine, predict: Predictor) -> Message:
    """Run one request; everything that can be told to the user is told, a bug ends the child with its traceback."""
    blocks = BorrowedBlocks()
    try:
        return _run(request, line, predict, blocks)
    finally:
        blocks.close()


def _run(request: Message, line: ParentLine, predict: Predictor, blocks: BorrowedBlocks) -> Message:
    try:
        channels = {name: volume_from_json(fields, blocks) for name, fields in request["channels"].items()}
        options = options_from_json(request["options"])
        prediction = predict(channels, Path(request["model"]), options, line.report(request["id"]))
        _write(prediction, request, blocks)
    except Cancelled:
        return {"event": "cancelled"}
    except SegdeskError as exc:
        return {"event": "error", "error": error_to_json(exc)}
    except MemoryError:
        error = OutOfMemory("Not enough memory for this image; give a smaller region of interest (--roi).")
        return {"event": "error", "error": error_to_json(error)}
    origin = prediction.labels.origin
    return {
        "event": "result",
        "manifest": dict(prediction.manifest),
        "origin": {
            "author": origin.author,
            "parameters": dict(origin.parameters),
            "weights_sha256": origin.weights_sha256,
            "created": origin.created.isoformat(),
        },
    }


def _write(prediction: Prediction, request: Message, blocks: BorrowedBlocks) -> None:
    """Copy the answer into the parent's blocks."""
    blocks.view(ArrayRef.from_json(request["labels"]))[...] = prediction.labels.array
    if request["probabilities"] is not None:
        blocks.view(ArrayRef.from_json(request["probabilities"]))[...] = prediction.probabilities
    if request["uncertainty"] is not None:
        blocks.view(ArrayRef.from_json(request["uncertainty"]))[...] = prediction.uncertainty


if __name__ == "__main__":
    main()
