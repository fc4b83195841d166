"""Unknown files are read in a child process: a decoder that crashes, hangs or blows up takes nothing with it."""

from __future__ import annotations

import math
import os
import queue
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from inspect import signature
from itertools import count
from pathlib import Path
from typing import Any, TypeVar, cast

from segdesk.core.progress import Progress, silent
from segdesk.errors import DecoderDied, ReadError
from segdesk.paths import user_log_folder
from segdesk.workers.decoder_exchange import POLL_S, Call, Exchange, FoundScan, Seat
from segdesk.workers.messages import Message
from segdesk.workers.module_command import module_command
from segdesk.workers.plain_values import Packer
from segdesk.workers.shared_array import remove_leftovers

T = TypeVar("T")

SERVE_COMMAND = module_command("segdesk.workers.decoder_serve")

CHILDREN = 2
"""So many files are read at once: one for the user, one for the pictures of the case list."""

MAX_MARKED = 16
"""After so many files of one folder on which a decoder died, the folder is given up."""


class Decoder:
    """Reads files in child processes; give it to `segdesk.io.image_reader.read_elsewhere`.

    A child starts with the first file (or `warm_up`) and is kept. When it dies, hangs or
    takes too much memory, the call fails with a `ReadError` (codes ``decoder_crashed``,
    ``decoder_hung``, ``decoder_memory``) that names the file, and a new child is started;
    while a folder is scanned, the file is marked instead and the others are read.

    Parameters
    ----------
    log_folder : Path, optional
        Where the children's stderr goes; the user's log folder by default.
    command : sequence of str
        How a child is started.
    """

    def __init__(self, log_folder: Path | None = None, command: Sequence[str] = SERVE_COMMAND) -> None:
        self._ids = count(1)
        seats = [Seat(log_folder or user_log_folder(), tuple(command)) for _ in range(CHILDREN)]
        # Last in, first out: the second child is started only when the first one is busy.
        self._free: queue.LifoQueue[Seat] = queue.LifoQueue()
        for seat in reversed(seats):
            self._free.put(seat)
        self._seats = seats
        # Also at exit and when nobody holds the decoder any more: no child is left behind.
        self._end_children = weakref.finalize(self, _end_all, seats)

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the children that run."""
        return tuple(seat.child.pid for seat in self._seats if seat.child is not None and seat.child.is_alive)

    def warm_up(self) -> None:
        """Start a child now, so that the first file need not wait for it; returns at once."""
        remove_leftovers()
        try:
            seat = self._free.get_nowait()
        except queue.Empty:
            return
        try:
            seat.running_child()
        finally:
            self._free.put(seat)

    def close(self) -> None:
        """End the children; the decoder can be used again."""
        _end_all(self._seats)

    def __call__(self, function: Callable[..., T], /, *args: object, **kwargs: object) -> T:
        """Return what a reading function of `segdesk.io` returns, called in a child.

        Entries of a scan keep reading in a child.

        Raises
        ------
        ReadError
            What the function raises, or that the decoder died.
        WorkerError
            If no child can be started, or there is no room for the image.
        """
        bound = signature(function).bind(*args, **kwargs).arguments
        report = cast(Progress, bound.pop("report", silent))
        message = {
            "op": "call",
            "function": function.__name__,
            "arguments": Packer(inline_bytes=math.inf).pack(
                {name: value for name, value in bound.items() if value is not None}
            ),
            "reports": "report" in signature(function).parameters,
            # The child is older than the caller's last change of folder.
            "folder": _current_folder(),
        }
        call = Call(message, Path(cast(Path, next(iter(bound.values())))), report)
        while True:
            try:
                value, _ = self._answer(call)
            except DecoderDied as death:
                # A scan goes on without the file; what reads one file has nothing else to do.
                if not self._is_marked(call, death):
                    raise
            else:
                return cast(T, value)

    def read_entry(self, scan: FoundScan, number: int, arguments: Sequence[int], report: Progress) -> Any:
        """Read an entry of a scan that a child made, or a slice of it, in that child or in another one."""
        message = {"op": "read", "scan": scan.id, "number": number, "arguments": list(arguments)}
        message["folder"] = scan.call.message["folder"]
        value, answer = self._answer(Call(message, scan.call.path, report))
        if answer["event"] != "gone":
            return value
        # The child that knew it is gone; its successor looks again, and must find the same.
        fresh = Call(scan.call.message, scan.call.path, report, scan.call.marked)
        return self._answer(fresh, then_read=(scan, message))[0]

    def _is_marked(self, call: Call, death: DecoderDied) -> bool:
        """Mark the file that a folder's scan died on; whether there is a point in trying again."""
        if call.message.get("function") != "scan" or not call.path.is_dir() or death.path is None:
            return False
        path = Path(death.path)
        if path == call.path or path in call.marked or len(call.marked) >= MAX_MARKED:
            return False
        call.marked[path] = ReadError(death.message, code=death.code, path=path)
        return True

    def _answer(self, call: Call, then_read: tuple[FoundScan, Message] | None = None) -> tuple[Any, Message]:
        """Send a request to a free child; return its value and its answer."""
        with self._seat(call.report) as seat:
            exchange = Exchange(seat, call, next(self._ids), self.read_entry)
            value, answer = exchange.run()
            if then_read is None:
                return value, answer
            scan, message = then_read
            if answer["value"] != scan.plain:
                raise ReadError(f"{call.path.name} has changed since it was listed; open it again.", path=call.path)
            then = Call({**message, "scan": exchange.id}, call.path, call.report)
            return Exchange(seat, then, next(self._ids), self.read_entry).run()

    @contextmanager
    def _seat(self, report: Progress) -> Iterator[Seat]:
        """Wait for a free child; the user may cancel meanwhile."""
        while True:
            try:
                seat = self._free.get(timeout=POLL_S)
                break
            except queue.Empty:
                report(0, 0, "Waiting for another file")
        try:
            yield seat
        finally:
            self._free.put(seat)


def _end_all(seats: Sequence[Seat]) -> None:
    for seat in seats:
        seat.drop(at_once=False)


def _current_folder() -> str:
    """Return where relative paths start; nowhere, once that folder is deleted."""
    try:
        return os.getcwd()
    except OSError:
        return os.sep
