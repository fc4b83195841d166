"""Look into a file of ``torch.save`` without opening it, for what its pickle would call.

The file is read again by ``torch.load(weights_only=True)`` in a child process; this look
before it gives the clear error, and a second lock on the same door.
"""

from __future__ import annotations

import pickletools
import stat
import zipfile
from pathlib import Path, PurePosixPath

from segdesk.errors import ImportRefused
from segdesk.zoo.weights_header import MAX_WEIGHT_BYTES

MAX_PICKLE_BYTES = 16 << 20
"""The pickle beside the tensors; that of a network of 10,000 tensors and its training log has 2 MiB."""

MAX_ENTRIES = 100_000
"""Tensors of a network and of its optimiser."""

ALLOWED_GLOBALS: frozenset[str] = frozenset(
    {
        "collections OrderedDict",
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_parameter",
        "torch Size",
        "torch device",
        *(f"torch {kind}Storage" for kind in ("Float", "Double", "Half", "BFloat16")),
        *(f"torch {kind}Storage" for kind in ("Long", "Int", "Short", "Char", "Byte", "Bool")),
        # What nnU-Net keeps of its log; stand-ins take their place when the file is read.
        "numpy.core.multiarray scalar",
        "numpy._core.multiarray scalar",
        "numpy dtype",
        "_codecs encode",
    }
)
"""Module and name of everything a pickle of weights may refer to."""

_ALLOWED_OPCODES = frozenset(
    {
        "GLOBAL", "REDUCE", "BUILD", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "MARK", "TUPLE", "TUPLE1", "TUPLE2",
        "TUPLE3", "NONE", "NEWFALSE", "NEWTRUE", "EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT", "BININT", "BININT1",
        "BININT2", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING", "LONG1", "BINPERSID", "BINGET", "LONG_BINGET",
        "BINPUT", "LONG_BINPUT", "PROTO", "STOP",
    }
)  # fmt: skip
"""What torch's own writer uses, protocol 2."""

_PLAIN_NAMES = {"version", "byteorder", "data.pkl", ".format_version", ".storage_alignment", ".data"}
_TAR_MAGIC = slice(257, 262)


def check_torch_file(path: Path) -> None:
    """Raise ImportRefused unless a file holds tensors in plain containers, as ``torch.save`` writes them.

    Raises
    ------
    ImportRefused
        For TorchScript, for a pickle or tar of any other kind, for a pickle that would call
        anything but the tensor functions of `ALLOWED_GLOBALS`, and for a damaged archive.
    """
    _check_start(path)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            pickle_name = _check_entries(entries, path)
            content = archive.read(pickle_name)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError) as exc:
        raise refused(path, f"its archive is damaged ({str(exc)[:80]})") from exc
    except OSError as exc:
        raise refused(path, f"it cannot be read ({exc.strerror})") from exc
    _check_pickle(content, path)


def refused(path: Path, why: str) -> ImportRefused:
    """Make the error for a file of weights."""
    return ImportRefused(f"{path.name[:80]!r} is refused: {why}. Nothing in it was run.", path=path)


def _check_start(path: Path) -> None:
    """Tell by the first bytes what is not a zip archive of torch."""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise refused(path, "it is a link or no regular file")
        if status.st_size > MAX_WEIGHT_BYTES:
            raise refused(path, f"it is larger than {MAX_WEIGHT_BYTES >> 30} GiB")
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as exc:
        raise refused(path, f"it cannot be read ({exc.strerror})") from exc
    if start[:4] == b"PK\x03\x04":
        return
    if start[:1] == b"\x80" or start[_TAR_MAGIC] == b"ustar":
        raise refused(
            path,
            "it is a pickle or the torch format from before version 1.6, which can hold programs; "
            "save its state dict again with a current torch, or as safetensors",
        )
    raise refused(path, "it is no file of torch.save")


def _check_entries(entries: list[zipfile.ZipInfo], path: Path) -> str:
    """Check names and sizes of the archive; return the name of its pickle."""
    names = [entry.filename for entry in entries]
    if len(entries) > MAX_ENTRIES or len({name.casefold() for name in names}) != len(names):
        raise refused(path, "its archive has too many entries, or two of one name")
    parts = [PurePosixPath(name).parts for name in names]
    if any(len(each) < 2 or ".." in each or each[0] != parts[0][0] or "\\" in "".join(each) for each in parts):
        raise refused(path, "its archive is not laid out as torch lays it out")
    inner = {each[1] for each in parts}
    if inner & {"code", "constants.pkl", "bytecode.pkl", "mobile_debug_handles.pkl"}:
        raise refused(path, "it is TorchScript, which is a program; get the state dict (.pt or .safetensors)")
    odd = sorted(inner - _PLAIN_NAMES - {"data"})
    if odd or "data.pkl" not in inner:
        raise refused(path, f"it is no archive of tensors ({odd[0][:40]!r} in it)" if odd else "it holds no data.pkl")
    _check_sizes(entries, path)
    return f"{parts[0][0]}/data.pkl"


def _check_sizes(entries: list[zipfile.ZipInfo], path: Path) -> None:
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
        raise refused(path, "its entries are compressed or encrypted, which torch never does")
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise refused(path, "its entries are larger than the file; they overlap")
    if any(e.file_size > MAX_PICKLE_BYTES for e in entries if e.filename.endswith("/data.pkl")):
        raise refused(path, f"its data.pkl is larger than {MAX_PICKLE_BYTES >> 20} MiB")


def _check_pickle(content: bytes, path: Path) -> None:
    """Walk through the instructions of a pickle, running none."""
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name not in _ALLOWED_OPCODES:
                raise refused(path, f"its pickle uses {opcode.name}, which torch.save does not")
            if opcode.name == "GLOBAL" and argument not in ALLOWED_GLOBALS:
                raise refused(
                    path, f"its pickle refers to {str(argument).replace(' ', '.')[:80]!r}, which is no tensor"
                )
    except (ValueError, IndexError, KeyError, UnicodeError) as exc:
        raise refused(path, "its pickle is damaged") from exc
