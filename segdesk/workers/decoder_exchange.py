"""One request to a decoder child, from the parent's side: sent, watched, answered, or the child is ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segdesk.core.progress import Cancelled, Progress
from segdesk.errors import DecoderDied, ReadError, WorkerError
from segdesk.io.limits import size_policy, size_text
from segdesk.workers.child_process import ChildProcess
from segdesk.workers.decoder_limits import (
    PLACE_BYTES,
    memory_limit_bytes,
    private_bytes,
    silence_limit_s,
    step_limit_s,
)
from segdesk.workers.messages import Message, error_from_json, error_to_json
from segdesk.workers.plain_values import Plain, Unpacker
from segdesk.workers.shared_array import ArrayRef, OwnedBlocks

START_LIMIT_S = 60.0
"""Loading the libraries from a cold disk takes long, and sends no beats meanwhile."""

CANCEL_LIMIT_S = 0.5
"""How long a cancelled decoder may go on before it is ended."""

POLL_S = 0.05
"""How often the caller's `report` is asked whether the user cancelled, and memory is looked at."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request: what is asked, for whom.

    Parameters
    ----------
    message : mapping
        What is sent, but for the id.
    path : Path
        What is read: for messages.
    report : callable
    """

    message: Message
    path: Path
    report: Progress
    marked: dict[Path, ReadError] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FoundScan:
    """A scan that a child made: enough to read an entry, also when the child is gone.

    Parameters
    ----------
    id : int
        As the child knows it.
    call : Call
        How it was made.
    plain : JSON value
        What it found.
    """

    id: int
    call: Call
    plain: Plain


class Seat:
    """Place for one child, which comes and goes."""

    def __init__(self, log_folder: Path, command: Sequence[str]) -> None:
        self._log_folder = log_folder
        self._command = command
        self._lock = threading.Lock()
        self.child: ChildProcess | None = None

    def running_child(self) -> ChildProcess:
        """Return the child; start one when there is none."""
        with self._lock:
            if self.child is not None and not self.child.is_alive:
                self.child.end(at_once=True)
                self.child = None
            if self.child is None:
                self.child = ChildProcess("decoder", self._log_folder, self._command)
            return self.child

    def drop(self, *, at_once: bool = True) -> None:
        """End the child, if there is one."""
        with self._lock:
            child, self.child = self.child, None
        if child is not None:
            child.end(at_once=at_once)


class _DiedIdleError(Exception):
    """The child died before it began with the request."""


ReadEntry = Callable[[FoundScan, int, Sequence[int], Progress], Any]
"""Calls a reader of a scan by its number, with the arguments that come before its `report`."""


class Exchange:
    """One request and everything that comes back on it.

    Parameters
    ----------
    seat : Seat
        Whose child is asked.
    call : Call
    request_id : int
    read_entry : callable
        Called when an entry of the answer is read later.
    """

    def __init__(self, seat: Seat, call: Call, request_id: int, read_entry: ReadEntry) -> None:
        self.id = request_id
        self._read_entry = read_entry
        self._seat = seat
        self._call = call
        self._child = seat.running_child()
        self._image_bytes = 0
        self._progress: tuple[int, int, str] = (0, 0, "")
        self._last_step = time.monotonic()
        self._refs: list[ArrayRef] = []
        self._has_begun = False

    def run(self) -> tuple[Any, Message]:
        """Return the value and the answer it came in."""
        try:
            return self._run()
        except _DiedIdleError:
            # That says nothing of this file: the next child gets the request.
            self._seat.drop()
            self._child = self._seat.running_child()
        try:
            return self._run()
        except _DiedIdleError as error:
            raise self._child.failure("ended again and again") from error

    def _run(self) -> tuple[Any, Message]:
        self._wait_until_ready()
        with OwnedBlocks() as blocks:
            self._place = blocks.reserve((PLACE_BYTES,), "u1")
            self._blocks = blocks
            try:
                self._child.send(self._request())
                answer = self._wait()
            except DecoderDied:
                raise
            except WorkerError as error:
                if not self._has_begun:
                    raise _DiedIdleError from error
                raise self._death("decoder_crashed", "crashed") from error
            except BaseException:
                self._stop()
                raise
            if answer["event"] == "error":
                raise error_from_json(answer["error"])
            if answer["event"] == "cancelled":
                raise Cancelled
            return self._value(answer), answer

    def _request(self) -> Message:
        policy = size_policy()
        return {
            **self._call.message,
            "id": self.id,
            "policy": [policy.max_bytes, policy.max_ratio],
            "marked": [[str(path), error_to_json(error)] for path, error in self._call.marked.items()],
            "place": self._place.to_json(),
        }

    def _wait_until_ready(self) -> None:
        """Wait until the child has loaded its libraries; the user may cancel."""
        while not self._child.is_ready:
            self._call.report(0, 0, "Starting the decoder")
            if self._child.receive(POLL_S) is None and self._child.silence_s > START_LIMIT_S:
                failure = self._child.failure("does not start")
                self._seat.drop()
                raise failure

    def _wait(self) -> Message:
        """Pass progress on and watch the child until it answers."""
        self._last_step = time.monotonic()
        while True:
            self._call.report(*self._progress)
            message = self._child.receive(POLL_S)
            self._watch()
            if message is None or message.get("id") != self.id:
                continue
            self._last_step, self._has_begun = time.monotonic(), True
            if message["event"] == "progress":
                self._progress = message["done"], message["total"], message["text"]
            elif message["event"] == "size":
                self._image_bytes = max(self._image_bytes, int(message["bytes"]))
            elif message["event"] == "room":
                self._make_room(message["arrays"])
            elif message["event"] != "begun":
                return message

    def _watch(self) -> None:
        """Raise when the child takes too much memory, or hangs."""
        limit = memory_limit_bytes(self._image_bytes)
        held = private_bytes(self._child.pid)
        if held > limit:
            raise self._death("decoder_memory", f"took more than {size_text(limit)} of memory")
        if self._child.silence_s > silence_limit_s(self._image_bytes):
            raise self._death("decoder_hung", "does not answer any more")
        if time.monotonic() - self._last_step > step_limit_s(self._image_bytes):
            raise self._death("decoder_hung", "does not come to an end")

    def _make_room(self, arrays: Sequence[Message]) -> None:
        try:
            self._refs = [self._blocks.reserve(each["shape"], each["dtype"]) for each in arrays]
        except WorkerError as error:
            raise ReadError(error.message, code="out_of_memory", path=self._call.path) from error
        self._child.send({"op": "room", "id": self.id, "refs": [ref.to_json() for ref in self._refs]})

    def _value(self, answer: Message) -> Any:
        if answer["event"] == "gone":
            return None
        scan = FoundScan(self.id, self._call, answer["value"])

        def reader(number: int) -> Callable[..., Any]:
            return lambda *arguments: self._read_entry(scan, number, arguments[:-1], arguments[-1])

        return Unpacker(lambda number: self._blocks.adopt(self._refs[number]), reader).unpack(answer["value"])

    def _death(self, code: str, what: str) -> DecoderDied:
        """End the child, start its successor, and return the error that names the file."""
        signal_number = self._child.signal_number if code == "decoder_crashed" else None
        path = self._looked_at() or self._call.path
        self._seat.drop()
        self._seat.running_child()
        ended = f" (signal {signal_number})" if signal_number else ""
        return DecoderDied(
            f"{path.name}: the decoder {what}{ended}; convert the file with another program.", code=code, path=path
        )

    def _looked_at(self) -> Path | None:
        """Return the file that the child had in hand."""
        name = bytes(self._blocks.take(self._place)).split(b"\0")[0]
        return Path(name.decode("utf-8", "surrogateescape")) if name else None

    def _stop(self) -> None:
        """Stop the request: by asking, then by ending the child."""
        try:
            self._child.send({"op": "cancel", "id": self.id})
            deadline = time.monotonic() + CANCEL_LIMIT_S
            while time.monotonic() < deadline:
                message = self._child.receive(POLL_S)
                if message and message.get("id") == self.id and message["event"] not in ("progress", "size", "room"):
                    return
        except WorkerError:
            pass
        self._seat.drop()
