"""Where commands read files: our own code here, foreign decoders in a child process.

NIfTI, Analyze and NRRD files are taken apart by segdesk itself and read in the command's
process. Everything else passes through code in C or C++ (codecs of DICOM, ITK, libpng,
libtiff...), which a damaged file can crash; it is read in a child, so that a command ends with
one line and exit code 2 also then. The child takes half a second to start.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from segdesk.errors import ReadError
from segdesk.io.formats import Format, sniff
from segdesk.workers.decoder import Decoder

T = TypeVar("T")

_OWN_FORMATS = (Format.NIFTI, Format.ANALYZE, Format.NRRD)


def read_foreign_apart(function: Callable[..., T], /, *args: object, **kwargs: object) -> T:
    """Call a reading function of `segdesk.io` here or in the child; a `ReadElsewhere`."""
    if _is_own(Path(str(args[0]))):
        return function(*args, **kwargs)
    return _decoder()(function, *args, **kwargs)


def _is_own(path: Path) -> bool:
    """Whether no foreign decoder will touch the file."""
    if path.is_dir():
        return False
    try:
        return sniff(path) in _OWN_FORMATS
    except ReadError:
        # The reading function says it in its own words.
        return True


@cache
def _decoder() -> Decoder:
    """Return the decoder of this process; it ends with it."""
    return Decoder()
