"""The warm inference child: ``python -m segdesk.nn.serve``, started by `segdesk.workers.inference`.

Requests come as JSON lines on stdin, answers leave on stdout; everything else that
is printed goes to stderr, the log. A thread of its own sends beats, listens for
cancellation, and ends the process as soon as the parent is gone.
"""

from __future__ import annotations

import faulthandler
from collections.abc import Callable
from importlib import import_module

from segdesk.core.progress import Cancelled, Progress
from segdesk.errors import OutOfMemory, SegdeskError
from segdesk.workers.messages import Message, error_to_json
from segdesk.workers.parent_line import ParentLine
from segdesk.workers.shared_array import BorrowedBlocks

Run = Callable[[Message, BorrowedBlocks, Progress], Message]


def main() -> None:
    """Serve requests until the parent is gone."""
    faulthandler.enable()
    line = ParentLine.of_process()
    line.open()
    # Imported here: beats go out while torch loads.
    run: Run = import_module("segdesk.nn.operations").run
    line.send({"event": "ready"})
    while True:
        request = line.requests.get()
        line.send({**_answer(request, line, run), "id": request["id"]})


def _answer(request: Message, line: ParentLine, run: Run) -> Message:
    """Run one request; everything that can be told to the user is told, a bug ends the child with its traceback."""
    blocks = BorrowedBlocks()
    try:
        return _told(request, line, run, blocks)
    finally:
        blocks.close()


def _told(request: Message, line: ParentLine, run: Run, blocks: BorrowedBlocks) -> Message:
    try:
        return {**run(request, blocks, line.report(request["id"])), "event": "result"}
    except Cancelled:
        return {"event": "cancelled"}
    except SegdeskError as exc:
        return {"event": "error", "error": error_to_json(exc)}
    except MemoryError:
        error = OutOfMemory("Not enough memory for this image; give a smaller region of interest (--roi).")
        return {"event": "error", "error": error_to_json(error)}


if __name__ == "__main__":
    main()
