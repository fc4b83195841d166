from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames

from segdesk.errors import ReadError
from segdesk.io import read_volume
from segdesk.io.dicom.jp2_boxes import has_endless_box

JP2 = "GDCMJ2K_TextGBR.dcm"
"""One of pydicom's test files: a JP2 file inside DICOM."""


def test_a_jp2_file_inside_dicom_is_read() -> None:
    path = get_testdata_file(JP2)
    assert not has_endless_box(pydicom.dcmread(path).PixelData)
    assert read_volume(path).array.shape == (1, 400, 400, 3)


def test_a_box_without_length_is_refused_and_not_walked_for_ever(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(get_testdata_file(JP2))
    frame = bytearray(next(generate_frames(dataset.PixelData, number_of_frames=1)))
    frame[12:16] = bytes(4)
    dataset.PixelData = encapsulate([bytes(frame)])
    dataset.save_as(tmp_path / "endless.dcm")
    with pytest.raises(ReadError) as caught:
        read_volume(tmp_path / "endless.dcm")
    assert caught.value.code == "bad_pixels"


@pytest.mark.parametrize(
    ("boxes", "is_endless"),
    [
        (b"", False),
        (b"\0\0\0\x14ftyp" + bytes(12) + b"\0\0\0\0jp2c" + bytes(9), False),
        (b"\0\0\0\x14ftyp" + bytes(12) + b"\0\0\0\0jp2h" + bytes(9), True),
        (b"\xff\xff\xff\xffftyp", False),
    ],
)
def test_only_the_codestream_may_go_on_to_the_end(boxes: bytes, is_endless: bool) -> None:
    assert has_endless_box(b"item" + b"\x00\x00\x00\x0cjP  \r\n\x87\n" + boxes) == is_endless
