"""The warm inference child: ``python -m segdesk.nn.serve``, started by `segdesk.workers.inference`.

Requests come as JSON lines on stdin, answers leave on stdout; everything else that
is printed goes to stderr, the log. A thread of its own sends beats, listens for
cancellation, and ends the process as soon as the parent is gone.
"""

from __future__ import annotations

import faulthandler
import os
import queue
import signal
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, NoReturn

from segdesk.core.progress import Cancelled
from segdesk.errors import OutOfMemory, SegdeskError
from segdesk.workers.messages import (
    Message,
    decode,
    encode,
    error_to_json,
    options_from_json,
    volume_from_json,
)
from segdesk.workers.shared_array import ArrayRef, BorrowedBlocks

if TYPE_CHECKING:
    from segdesk.core.prediction import Prediction, Predictor

BEAT_S = 0.5
"""How often the child says that it lives."""

_REPORT_S = 0.05
"""Progress goes out at most this often: a 2D model has thousands of windows a second."""


class _Line:
    """The line to the parent; safe to use from several threads."""

    def __init__(self, requests: IO[str], answers: IO[str]) -> None:
        self.requests: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._incoming = requests
        self._outgoing = answers
        self._lock = threading.Lock()
        self._cancelled: set[int] = set()

    def open(self) -> None:
        """Start to listen and to beat."""
        threading.Thread(target=self._listen, name="listen", daemon=True).start()
        threading.Thread(target=self._beat, name="beat", daemon=True).start()

    def send(self, message: Message) -> None:
        """Send a message; ends the process when nobody listens."""
        try:
            with self._lock:
                self._outgoing.write(encode(message))
                self._outgoing.flush()
        except OSError:
            _leave()

    def is_cancelled(self, request_id: int) -> bool:
        """Whether the parent does not want the answer any more."""
        return request_id in self._cancelled

    def _listen(self) -> None:
        for text in self._incoming:
            message = decode(text)
            if message["op"] == "cancel":
                self._cancelled.add(message["id"])
            else:
                self.requests.put(message)
        _leave()

    def _beat(self) -> None:
        pause = threading.Event()
        while not pause.wait(BEAT_S):
            self.send({"event": "beat"})


def main() -> None:
    """Serve requests until the parent is gone."""
    faulthandler.enable()
    # Ctrl+C in a terminal reaches the child as well; whether to stop is the parent's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    # A library that prints must not get between the messages.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    line = _Line(sys.stdin, answers)
    line.open()
    # Imported here: beats go out while torch loads.
    predict: Predictor = import_module("segdesk.nn.predict").predict
    line.send({"event": "ready"})
    while True:
        request = line.requests.get()
        line.send({**_answer(request, line, predict), "id": request["id"]})


def _answer(request: Message, line: _Line, predict: Predictor) -> Message:
    """Run one request; everything that can be told to the user is told, a bug ends the child with its traceback."""
    blocks = BorrowedBlocks()
    try:
        return _run(request, line, predict, blocks)
    finally:
        blocks.close()


def _run(request: Message, line: _Line, predict: Predictor, blocks: BorrowedBlocks) -> Message:
    try:
        channels = {name: volume_from_json(fields, blocks) for name, fields in request["channels"].items()}
        options = options_from_json(request["options"])
        prediction = predict(channels, Path(request["model"]), options, _Report(line, request["id"]))
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


class _Report:
    """Progress to the parent; raises `Cancelled` when it does not want the answer any more."""

    def __init__(self, line: _Line, request_id: int) -> None:
        self._line = line
        self._id = request_id
        self._next = 0.0

    def __call__(self, done: int, total: int, text: str = "") -> None:
        """Send the progress, unless the last one was a moment ago."""
        if self._line.is_cancelled(self._id):
            raise Cancelled
        now = time.monotonic()
        if now >= self._next or done == total:
            self._next = now + _REPORT_S
            self._line.send({"event": "progress", "id": self._id, "done": done, "total": total, "text": text})


def _leave() -> NoReturn:
    """End at once, from any thread: nobody waits for an answer."""
    os._exit(0)


if __name__ == "__main__":
    main()
