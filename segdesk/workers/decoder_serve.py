"""The warm decoder child: ``python -m segdesk.workers.decoder_serve``, started by `segdesk.workers.decoder`.

Runs the readers of `segdesk.io` on files nobody knows. Requests come as JSON lines on stdin,
answers leave on stdout, arrays in the parent's shared memory. A crash here is an error
message there.

Parent: ``{"op": "call", "id", "function", "arguments", "folder", "policy", "marked", "place"}``,
``{"op": "read", "id", "scan", "number"[, "arguments"], "folder", "policy", "place"}``,
``{"op": "room", "id", "refs"}``.
Child: ``{"event": "begun"|"size"|"room"|"result"|"gone"|"error"|"cancelled", "id", ...}``.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import traceback
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdesk.core.progress import Cancelled
from segdesk.errors import ReadError, SegdeskError
from segdesk.io.limits import SizePolicy, use_policy
from segdesk.io.reading import read_labels, read_volume
from segdesk.io.scan import scan
from segdesk.io.suspects import Lookout, use_lookout
from segdesk.workers.decoder_limits import PLACE_BYTES, WATCHDOG_FACTOR, silence_limit_s
from segdesk.workers.messages import Message, error_from_json, error_to_json
from segdesk.workers.parent_line import ParentLine
from segdesk.workers.plain_values import Packer, Unpacker
from segdesk.workers.shared_array import ArrayRef, BorrowedBlocks

FUNCTIONS: dict[str, Callable[..., object]] = {each.__name__: each for each in (scan, read_volume, read_labels)}
"""What may be called."""

_KEPT_SCANS = 8

_LOADED_AHEAD = ("segdesk.io.dicom.series", "segdesk.io.nifti")
"""The formats that most files have."""


class Watchdog:
    """Ends the process when it hangs with Python's lock held and nobody is left to end it.

    The timer is one of C (`faulthandler`), which needs no lock; every sign of life winds it up.
    """

    def __init__(self) -> None:
        self.image_bytes = 0

    def wind_up(self) -> None:
        """Give the process another while."""
        faulthandler.dump_traceback_later(WATCHDOG_FACTOR * silence_limit_s(self.image_bytes), exit=True)


class Decoder:
    """Answers requests, one at a time.

    Parameters
    ----------
    line : ParentLine
    watchdog : Watchdog
        Learns how large the image is.
    """

    def __init__(self, line: ParentLine, watchdog: Watchdog) -> None:
        self._line = line
        self._watchdog = watchdog
        self._scans: OrderedDict[int, list[Callable[..., object]]] = OrderedDict()

    def answer(self, request: Message) -> Message:
        """Do what a request asks; whatever goes wrong is told."""
        self._line.send({"event": "begun", "id": request["id"]})
        blocks = BorrowedBlocks()
        try:
            with self._watched(request, blocks):
                return {**self._result(request, blocks), "id": request["id"]}
        except Cancelled:
            return {"event": "cancelled", "id": request["id"]}
        except SegdeskError as error:
            return _failed(request, error)
        except MemoryError:
            return _failed(request, ReadError("There is not enough memory for this file.", code="decoder_memory"))
        except Exception as error:  # noqa: BLE001  a bug must not end the child: other files wait
            return _failed(request, _unforeseen(error))
        finally:
            self._watchdog.image_bytes = 0
            blocks.close()

    def _result(self, request: Message, blocks: BorrowedBlocks) -> Message:
        report = self._line.report(request["id"])
        _go_to(request["folder"])
        if request["op"] == "call":
            arguments = Unpacker(_no_array, _no_call).unpack(request["arguments"])
            function = FUNCTIONS[request["function"]]
            if request["reports"]:
                arguments["report"] = report
            return self._sent(function(**arguments), request, blocks)
        readers = self._scans.get(request["scan"])
        if readers is None:
            return {"event": "gone"}
        self._scans.move_to_end(request["scan"])
        return self._sent(readers[request["number"]](*request.get("arguments", ()), report), request, blocks)

    def _sent(self, value: object, request: Message, blocks: BorrowedBlocks) -> Message:
        """Pack a value, its arrays into room that the parent makes."""
        packer = Packer()
        plain = packer.pack(value)
        if packer.calls:
            self._scans[request["id"]] = packer.calls
            while len(self._scans) > _KEPT_SCANS:
                self._scans.popitem(last=False)
        if packer.arrays:
            wanted = [{"shape": array.shape, "dtype": array.dtype.str} for array in packer.arrays]
            self._line.send({"event": "room", "id": request["id"], "arrays": wanted})
            refs = self._line.requests.get()["refs"]
            while packer.arrays:
                blocks.view(ArrayRef.from_json(refs[len(packer.arrays) - 1]))[...] = packer.arrays.pop()
        return {"event": "result", "value": plain}

    @contextmanager
    def _watched(self, request: Message, blocks: BorrowedBlocks) -> Iterator[None]:
        """Tell the parent sizes, and the file that is being looked at."""

        def noted(image_bytes: int) -> None:
            self._watchdog.image_bytes = image_bytes
            self._line.send({"event": "size", "id": request["id"], "bytes": image_bytes})

        max_bytes, max_ratio = request["policy"]
        marked = {Path(name): error_from_json(error) for name, error in request["marked"]}
        lookout = Lookout(marked, Place(blocks.view(ArrayRef.from_json(request["place"]))))
        with use_policy(SizePolicy(max_bytes, max_ratio, noted)), use_lookout(lookout):
            yield


class Place:
    """Writes the name of the file that is being looked at where the parent finds it when this process is gone."""

    def __init__(self, room: NDArray[Any]) -> None:
        self._room = room

    def __call__(self, path: Path | None) -> None:
        """Write a name, or that there is none."""
        name = b"" if path is None else str(path).encode("utf-8", "surrogateescape")[: PLACE_BYTES - 1]
        self._room[: len(name) + 1] = np.frombuffer(name + b"\0", np.uint8)


def _failed(request: Message, error: SegdeskError) -> Message:
    return {"event": "error", "id": request["id"], "error": error_to_json(error)}


def _unforeseen(error: Exception) -> SegdeskError:
    """Return one line for a bug of ours or of a library; where it happened goes to the log, not what it said.

    The text of a foreign exception may hold a patient's name.
    """
    kind = type(error).__name__
    sys.stderr.write(f"{kind}\n{''.join(traceback.format_tb(error.__traceback__))}")
    sys.stderr.flush()
    return ReadError(f"Reading failed in a way that it should not ({kind}); please report it.", code="internal")


def _go_to(folder: str) -> None:
    """Start relative paths where the caller does; nowhere, if that folder is gone."""
    try:
        os.chdir(folder)
    except OSError:
        os.chdir(os.sep)


def _no_array(number: int) -> Any:
    raise ValueError("requests hold no arrays")


def _no_call(number: int) -> Any:
    raise ValueError("requests hold no functions")


def _without_core_dump() -> None:
    """Forbid core dumps: one of a decoder would hold a patient's pixels."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Serve requests until the parent is gone."""
    faulthandler.enable()
    _without_core_dump()
    # What libraries say of damaged files may quote them.
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    watchdog = Watchdog()
    line = ParentLine.of_process(watchdog.wind_up)
    line.open()
    decoder = Decoder(line, watchdog)
    line.send({"event": "ready"})
    for module in _LOADED_AHEAD:
        import_module(module)
    while True:
        request = line.requests.get()
        if request["op"] != "room":
            line.send(decoder.answer(request))


if __name__ == "__main__":
    main()
