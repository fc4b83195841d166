"""Frames to bytes: bits that follow each other across the borders of bytes, or whole values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class BitPacker:
    """Packs frames of bits; the first pixel is the lowest bit (PS3.5 8.1.1)."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._rest = np.zeros(0, np.uint8)

    def add(self, frame: NDArray[Any]) -> None:
        """Append a frame of zeros and ones."""
        bits = np.concatenate([self._rest, np.asarray(frame, np.uint8).reshape(-1)])
        whole = len(bits) // 8 * 8
        self._bytes += np.packbits(bits[:whole], bitorder="little").tobytes()
        self._rest = bits[whole:]

    def to_bytes(self) -> bytes:
        """Return all frames, filled up to an even number of bytes."""
        packed = bytes(self._bytes) + np.packbits(self._rest, bitorder="little").tobytes()
        return packed + b"\0" * (len(packed) % 2)


class ValuePacker:
    """Packs frames of label values of 8 or 16 bits."""

    def __init__(self, bits: int) -> None:
        self._dtype = np.dtype(f"<u{bits // 8}")
        self._bytes = bytearray()

    def add(self, frame: NDArray[Any]) -> None:
        """Append a frame."""
        self._bytes += frame.astype(self._dtype).tobytes()

    def to_bytes(self) -> bytes:
        """Return all frames, filled up to an even number of bytes."""
        return bytes(self._bytes) + b"\0" * (len(self._bytes) % 2)
