"""The decoder child, with decoders that do what the name of the file says."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from pathlib import Path

from segdesk.io import image_files
from segdesk.io.formats import Format
from segdesk.io.series import SeriesEntry
from segdesk.workers import decoder_serve

read_raster = image_files._OPENERS[Format.PNG]


def misbehave(path: Path, kind: Format, uid: str) -> SeriesEntry:
    if "crash" in path.name:
        os.kill(os.getpid(), signal.SIGSEGV)
    elif "hang" in path.name:
        threading.Event().wait()
    elif "hold" in path.name:
        # In C, with Python's lock held, as a codec does it: no beat, no cancelling.
        ctypes.PyDLL(None).sleep(600)
    elif "eat" in path.name:
        ctypes.memset(ctypes.create_string_buffer(300 << 20), 1, 300 << 20)
        threading.Event().wait()
    elif "bug" in path.name:
        raise ZeroDivisionError("Patient^Name")
    elif "full" in path.name:
        raise MemoryError
    return read_raster(path, kind, uid)


image_files._OPENERS[Format.PNG] = misbehave
decoder_serve._LOADED_AHEAD = ()

if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(sys.argv[1])
    decoder_serve.main()
