"""Arrays that two processes see without copying them through a pipe.

The parent makes and removes every block; the child only looks at it. Where
``/dev/shm`` has no room (containers give it 64 MiB) a block is a mapped
temporary file: writing past the end of a full shared memory would kill the window.
"""

from __future__ import annotations

import errno
import gc
import math
import mmap
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from segdesk.errors import WorkerError
from segdesk.workers.process_identity import ProcessIdentity

_SHARED_FOLDER = Path("/dev/shm")

_FILE_PREFIX = "segdesk-block-"

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class ArrayRef:
    """Where an array lies, in words that travel as JSON.

    Parameters
    ----------
    kind : str
        "memory" or "file".
    name : str
        Name of the shared memory, or path of the file.
    shape : tuple of int
    dtype : str
        As numpy writes it ("<i2").
    """

    kind: str
    name: str
    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> ArrayRef:
        """Read what `to_json` wrote."""
        return cls(fields["kind"], fields["name"], tuple(fields["shape"]), fields["dtype"])

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"kind": self.kind, "name": self.name, "shape": list(self.shape), "dtype": self.dtype}


class OwnedBlocks:
    """The parent's blocks; a context manager that removes all of them, whatever happens."""

    def __init__(self) -> None:
        self._memories: dict[str, SharedMemory] = {}
        self._files: list[Path] = []

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove every block."""
        for memory in self._memories.values():
            memory.close()
            memory.unlink()
        for path in self._files:
            path.unlink(missing_ok=True)

    def share(self, array: Array) -> ArrayRef:
        """Copy an array into a new block."""
        ref = self.reserve(array.shape, array.dtype)
        self._view(ref)[...] = array
        return ref

    def reserve(self, shape: Sequence[int], dtype: DTypeLike) -> ArrayRef:
        """Make a block for an array of zeros that the child will fill.

        Raises
        ------
        WorkerError
            If there is room neither in memory nor on disk.
        """
        text = np.dtype(dtype).str
        size = max(1, math.prod(shape) * np.dtype(dtype).itemsize)
        try:
            name = self._new_memory(size)
            if name is not None:
                return ArrayRef("memory", name, tuple(shape), text)
            return ArrayRef("file", self._new_file(size), tuple(shape), text)
        except OSError as exc:
            raise WorkerError(f"There is no room for an array of {size >> 20} MiB ({exc.strerror}).") from exc

    def take(self, ref: ArrayRef) -> Array:
        """Return a copy of what the child wrote."""
        return np.array(self._view(ref))

    def adopt(self, ref: ArrayRef) -> Array:
        """Return what the child wrote, without a copy where the system allows.

        The block loses its name at once and lives as long as the array does: nothing is
        left behind, however the process ends.
        """
        path = Path(ref.name) if ref.kind == "file" else _SHARED_FOLDER / ref.name
        if os.name != "posix" or not path.exists() or math.prod(ref.shape) == 0:
            return self.take(ref)
        dtype = np.dtype(ref.dtype)
        with path.open("r+b") as file:
            mapped = mmap.mmap(file.fileno(), math.prod(ref.shape) * dtype.itemsize)
        self._forget(ref)
        return np.frombuffer(mapped, dtype).reshape(ref.shape)

    def _forget(self, ref: ArrayRef) -> None:
        """Remove one block."""
        if ref.kind == "file":
            self._files.remove(Path(ref.name))
            Path(ref.name).unlink(missing_ok=True)
            return
        memory = self._memories.pop(ref.name)
        memory.close()
        memory.unlink()

    def _view(self, ref: ArrayRef) -> Array:
        return _file_view(ref) if ref.kind == "file" else _memory_view(ref, self._memories[ref.name])

    def _new_memory(self, size: int) -> str | None:
        """Return the name of a new block; None where shared memory has no room for it."""
        if not _has_room(_SHARED_FOLDER, size):
            return None
        memory = SharedMemory(create=True, size=size)
        path = _SHARED_FOLDER / memory.name
        try:
            if path.exists():
                _take_space(path, size)
        except OSError:
            memory.close()
            memory.unlink()
            return None
        self._memories[memory.name] = memory
        return memory.name

    def _new_file(self, size: int) -> str:
        handle, name = tempfile.mkstemp(prefix=f"{_FILE_PREFIX}{os.getpid()}-")
        self._files.append(Path(name))
        os.close(handle)
        if not _has_room(Path(name).parent, size):
            raise OSError(errno.ENOSPC, "no space left in memory or in the temporary folder")
        _take_space(Path(name), size)
        return name


def remove_leftovers() -> None:
    """Remove the mapped files of processes that were killed (shared memory is removed by Python's tracker)."""
    for path in Path(tempfile.gettempdir()).glob(f"{_FILE_PREFIX}*"):
        owner = path.name.removeprefix(_FILE_PREFIX).split("-")[0]
        if owner.isdecimal() and not ProcessIdentity(int(owner), "").is_alive:
            # Another window may be sweeping as well, or another user may own it.
            with suppress(OSError):
                path.unlink()


class BorrowedBlocks:
    """The child's look at the parent's blocks."""

    def __init__(self) -> None:
        self._memories: list[SharedMemory] = []

    def view(self, ref: ArrayRef) -> Array:
        """Return the array itself; it must be forgotten before `close`."""
        if ref.kind == "file":
            return _file_view(ref)
        memory = _attach(ref.name)
        self._memories.append(memory)
        return _memory_view(ref, memory)

    def close(self) -> None:
        """Let go of all blocks."""
        for memory in self._memories:
            try:
                memory.close()
            except BufferError:
                # A traceback in a reference cycle still holds an array.
                gc.collect()
                memory.close()
        self._memories.clear()


def _attach(name: str) -> SharedMemory:
    """Open a block without becoming its owner."""
    if sys.version_info >= (3, 13):
        return SharedMemory(name, track=False)
    memory = SharedMemory(name)
    # Before 3.13 whoever opens a block is taken for its owner, and removes it on exit (bpo-38119).
    if os.name == "posix":
        resource_tracker.unregister(f"/{name.lstrip('/')}", "shared_memory")
    return memory


def _memory_view(ref: ArrayRef, memory: SharedMemory) -> Array:
    return np.ndarray(ref.shape, np.dtype(ref.dtype), buffer=memory.buf)


def _file_view(ref: ArrayRef) -> Array:
    if math.prod(ref.shape) == 0:
        return np.zeros(ref.shape, np.dtype(ref.dtype))
    return np.memmap(ref.name, np.dtype(ref.dtype), mode="r+", shape=ref.shape)


def _take_space(path: Path, size: int) -> None:
    """Take the space of a file now: whoever writes to a block whose space others took meanwhile is killed."""
    with path.open("r+b") as file:
        file.truncate(size)
        if hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as exc:
                # Some file systems cannot promise space.
                if exc.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                    raise


def _has_room(folder: Path, size: int) -> bool:
    """Whether `size` bytes and a tenth more are free; a system without the folder has no such limit."""
    return not folder.is_dir() or shutil.disk_usage(folder).free > size * 1.1
