"""Reading a known number of bytes, plain or gzipped, without trusting the header."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from isal import igzip, isal_zlib
from numpy.typing import NDArray

from segdesk.errors import ReadError
from segdesk.io.limits import MAX_DEFLATE_RATIO, require_size

_STEP = 1 << 24
_DAMAGE: tuple[type[Exception], ...] = (OSError, EOFError, cast(type[Exception], isal_zlib.error))


class ByteSource:
    """A file read from its start, decompressed on the way when it is gzipped.

    Use as a context manager. All damage comes out as `ReadError`.

    Parameters
    ----------
    path : Path
        The file.
    start : int
        Byte to begin at; a gzip stream may begin there.
    is_gzip : bool, optional
        Whether it is gzipped; told by its first bytes when None.
    """

    def __init__(self, path: Path, start: int = 0, is_gzip: bool | None = None) -> None:
        self._path = path
        try:
            self._raw = path.open("rb")
            self._raw.seek(start)
            self.is_gzip = self._raw.read(2) == b"\x1f\x8b" if is_gzip is None else is_gzip
            self._raw.seek(start)
            self._file_size = path.stat().st_size - start
        except OSError as error:
            raise ReadError(f"{path.name} cannot be read: {error.strerror}.", path=path) from error
        source = igzip.IGzipFile(fileobj=self._raw, mode="rb") if self.is_gzip else self._raw
        self._stream = cast(BinaryIO, source)

    def __enter__(self) -> ByteSource:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self._stream.close()
        self._raw.close()

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def read(self, count: int) -> bytes:
        """Return up to `count` bytes."""
        try:
            return self._stream.read(count)
        except _DAMAGE as error:
            raise self._truncated() from error

    def require_held(self, count: int) -> None:
        """Refuse (``truncated``) a header that promises more bytes than the file can hold."""
        if count > self._file_size * (MAX_DEFLATE_RATIO if self.is_gzip else 1):
            raise self._truncated()

    def skip(self, count: int) -> None:
        """Leave out bytes, or all there are."""
        while count > 0:
            got = len(self.read(min(count, _STEP)))
            if not got:
                return
            count -= got

    def read_array(self, dtype: np.dtype[np.generic], count: int) -> NDArray[np.generic]:
        """Return exactly `count` items as a flat array, in native byte order.

        Raises
        ------
        ReadError
            ``truncated`` when the file ends early or its checksum fails: nothing is filled up
            with zeros. What the size policy refuses (`NeedsConsent`), and a promise that the
            file cannot keep, is refused before memory is allocated.
        """
        needed = count * dtype.itemsize
        self.require_held(needed)
        require_size(self._path, needed, self._file_size)
        array = np.empty(count, dtype)
        self._fill(memoryview(cast(bytes, array.view(np.uint8))) if count else memoryview(b""))
        return array if dtype.isnative else array.byteswap(inplace=True).view(dtype.newbyteorder("="))

    def _fill(self, target: memoryview) -> None:
        filled = 0
        try:
            while filled < len(target):
                got = cast(int, self._stream.readinto(target[filled : filled + _STEP]))  # type: ignore[attr-defined]
                if not got:
                    raise self._truncated()
                filled += got
            if self.is_gzip:
                # The checksum is compared only when the end of the stream is reached.
                while self._stream.read(_STEP):
                    pass
        except _DAMAGE as error:
            raise self._truncated() from error

    def _truncated(self) -> ReadError:
        return ReadError(
            f"{self._path.name} ends early or is damaged; copy it again from its source.",
            code="truncated",
            path=self._path,
        )
