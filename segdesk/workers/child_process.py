"""A child process that answers requests, seen from its parent."""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from segdesk.errors import WorkerError
from segdesk.workers.messages import Message, decode, encode

KEPT_LOGS = 10
"""Logs of earlier children that stay for a look."""

_FAREWELL_S = 0.2
_GOODBYE_S = 1.0
"""How long a child that is told to end may take."""


class ChildProcess:
    """One running child: send a message, receive messages, end it.

    Parameters
    ----------
    name : str
        What it is for, as in "The inference process": for messages and its log.
    log_folder : Path
        Where its stderr goes.
    command : sequence of str
        What is started.

    Attributes
    ----------
    log_path : Path
        What the child had to say.
    is_ready : bool
        Whether it has loaded what it needs.
    """

    def __init__(self, name: str, log_folder: Path, command: Sequence[str]) -> None:
        self._name = name
        self.is_ready = False
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._last_heard = time.monotonic()
        try:
            self.log_path = _new_log(log_folder, name)
            with self.log_path.open("wb") as log:
                self._process = subprocess.Popen(
                    list(command),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    encoding="utf-8",
                )
        except OSError as exc:
            raise WorkerError(f"The {name} process could not be started ({exc.strerror}).") from exc
        self._reader = threading.Thread(target=self._read, name=f"{name}-reader", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    @property
    def silence_s(self) -> float:
        """Seconds since the child was last heard of."""
        return time.monotonic() - self._last_heard

    def send(self, message: Message) -> None:
        """Send a message; WorkerError when the child is gone."""
        try:
            _stream(self._process.stdin).write(encode(message))
            _stream(self._process.stdin).flush()
        except (OSError, ValueError) as exc:
            raise self.failure("ended unexpectedly") from exc

    def receive(self, timeout_s: float) -> Message | None:
        """Return the next message, None when none came in time.

        Raises
        ------
        WorkerError
            If the child ended; its messages are delivered first.
        """
        try:
            message = self._messages.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if message is None:
            self._messages.put(None)
            raise self.failure("ended unexpectedly")
        if message.get("event") == "ready":
            self.is_ready = True
        return message

    def failure(self, what: str) -> WorkerError:
        """Return the error that says what happened to the child and where its log is."""
        ended = f" (signal {self.signal_number})" if self.signal_number else ""
        return WorkerError(
            f"The {self._name} process {what}{ended}; try again. Its log: {self.log_path}", path=self.log_path
        )

    @property
    def signal_number(self) -> int | None:
        """The signal that ended the child; None while it runs, or when it ended otherwise."""
        status = self._exit_status()
        return -status if status is not None and status < 0 else None

    def _exit_status(self) -> int | None:
        """Return the exit status; a pipe closes a moment before its process can be waited for."""
        try:
            return self._process.wait(_FAREWELL_S)
        except subprocess.TimeoutExpired:
            return None

    def end(self, *, at_once: bool = False) -> None:
        """End the child: by closing its input, and by force when it does not listen."""
        if at_once:
            self._process.kill()
        _close_quietly(self._process.stdin)
        try:
            self._process.wait(_GOODBYE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(_GOODBYE_S)
        _close_quietly(self._process.stdout)

    def _read(self) -> None:
        """Pass messages on until the child closes its output; runs in a thread of its own."""
        try:
            for line in _stream(self._process.stdout):
                self._last_heard = time.monotonic()
                message = decode(line)
                # A beat has said all there is to say; an idle night of them must not wait for the next request.
                if message.get("event") != "beat":
                    self._messages.put(message)
        except (OSError, ValueError, WorkerError):
            # Half a line of a killed child, or bytes that are no text: it cannot be talked with any more.
            self._process.kill()
        self._messages.put(None)


def _stream(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise ValueError("the child was started without pipes")
    return stream


def _close_quietly(stream: IO[str] | None) -> None:
    """Close a pipe whose other end may be gone."""
    try:
        _stream(stream).close()
    except OSError:
        return


def _new_log(folder: Path, name: str) -> Path:
    """Return the path of a new log and remove the oldest ones."""
    folder.mkdir(parents=True, exist_ok=True)
    old = sorted(folder.glob(f"{name}-*.log"), key=lambda path: path.name)
    for path in old[: max(0, len(old) - KEPT_LOGS + 1)]:
        path.unlink(missing_ok=True)
    return folder / f"{name}-{time.time_ns()}.log"
