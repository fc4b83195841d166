"""An inference child without torch that behaves as its first argument says."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from typing import Any

import numpy as np

from segdesk.workers.messages import volume_from_json
from segdesk.workers.shared_array import ArrayRef, BorrowedBlocks

LOCK = threading.Lock()


def send(**message: Any) -> None:
    with LOCK:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def beat() -> None:
    while True:
        time.sleep(0.1)
        send(event="beat")


def answer(request: dict[str, Any]) -> None:
    """Label what is bright."""
    blocks = BorrowedBlocks()
    volume = volume_from_json(next(iter(request["channels"].values())), blocks)
    blocks.view(ArrayRef.from_json(request["labels"]))[...] = np.where(volume.array > 50, 7, 0)
    del volume
    blocks.close()
    origin = {"author": "toy@1", "parameters": {}, "weights_sha256": "0" * 64, "created": "2026-01-02T03:04:05+00:00"}
    send(event="result", id=request["id"], manifest={"pid": os.getpid()}, origin=origin)


def misbehave(mode: str, request: dict[str, Any]) -> None:
    """Do with a request what the mode says."""
    if mode == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif mode == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif mode in ("error", "odd"):
        kind = "OutOfMemory" if mode == "error" else "os"
        error = {"kind": kind, "code": "out_of_memory", "message": "too large", "path": None}
        send(event="error", id=request["id"], error=error)
    elif mode == "answer":
        answer(request)


def main(mode: str) -> None:
    if mode == "exit":
        sys.exit("no such library")
    if mode == "babble":
        sys.stdout.write("Traceback: this is no message\n")
    if mode != "mute":
        threading.Thread(target=beat, daemon=True).start()
    send(event="ready")
    for line in sys.stdin:
        request = json.loads(line)
        if request["op"] == "predict":
            send(event="progress", id=request["id"], done=1, total=3, text="Window 1 of 3")
            misbehave(mode, request)
        elif mode == "polite":
            send(event="cancelled", id=request["id"])


if __name__ == "__main__":
    main(sys.argv[1])
