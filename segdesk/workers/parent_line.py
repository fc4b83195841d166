"""The line to the parent, seen from a child process: requests in, answers out, signs of life."""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import IO, NoReturn

from segdesk.core.progress import Cancelled
from segdesk.workers.messages import Message, decode, encode

BEAT_S = 0.5
"""How often the child says that it lives."""

_REPORT_S = 0.05
"""Progress goes out at most this often: a 2D model has thousands of windows a second."""


class ParentLine:
    """Safe to use from several threads; ends the process as soon as the parent is gone.

    Parameters
    ----------
    requests, answers : text stream
        What the parent sends, and where answers go.
    on_beat : callable
        Called with each sign of life, in the thread that gives it.
    """

    def __init__(self, requests: IO[str], answers: IO[str], on_beat: Callable[[], None] = lambda: None) -> None:
        self.requests: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._incoming = requests
        self._outgoing = answers
        self._on_beat = on_beat
        self._lock = threading.Lock()
        self._cancelled: set[int] = set()

    @classmethod
    def of_process(cls, on_beat: Callable[[], None] = lambda: None) -> ParentLine:
        """Return the line over stdin and stdout; what else is printed goes to stderr, the log, from now on."""
        # Ctrl+C in a terminal reaches the child as well; whether to stop is the parent's decision.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        return cls(sys.stdin, answers, on_beat)

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

    def report(self, request_id: int) -> ProgressToParent:
        """Return the `Progress` of a request."""
        return ProgressToParent(self, request_id)

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
            self._on_beat()
            self.send({"event": "beat"})


class ProgressToParent:
    """Progress to the parent; raises `Cancelled` when it does not want the answer any more."""

    def __init__(self, line: ParentLine, request_id: int) -> None:
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
