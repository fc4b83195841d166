"""A look at JP2 boxes before pydicom walks them: `get_j2k_parameters` (3.0) never gets past one of length 0.

Some writers wrap JPEG 2000 codestreams in a JP2 file inside DICOM. A box is four bytes of length,
four of type, and content (ISO 15444-1 I.4); length 0 means "to the end of the file".
"""

from __future__ import annotations

_SIGNATURE = b"\x00\x00\x00\x0cjP  "
_CODESTREAM = b"jp2c"


def has_endless_box(pixel_data: bytes) -> bool:
    """Whether a box of length 0 stands before the codestream of any JP2 file in the pixel data."""
    start = pixel_data.find(_SIGNATURE)
    while start >= 0:
        position = start + len(_SIGNATURE) + 4
        while position + 8 <= len(pixel_data) and pixel_data[position + 4 : position + 8] != _CODESTREAM:
            length = int.from_bytes(pixel_data[position : position + 4], "big")
            if length == 0:
                return True
            position += length
        start = pixel_data.find(_SIGNATURE, start + len(_SIGNATURE))
    return False
