"""The quick way to read a header gives what pydicom's gives, or leaves the file to it."""

from __future__ import annotations

import logging
import random
import struct
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.charset import convert_encodings
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from segdesk.errors import ReadError
from segdesk.io.dicom.header_scan import ScannedHeader, scan_header, scan_items
from segdesk.io.dicom.headers import read_instance, read_instance_by_pydicom
from segdesk.io.dicom.quick_header import NotPlainError, QuickHeader
from segdesk.io.dicom.tags import HEADER_TAGS
from segdesk.io.dicom.values import DAMAGED_FILE, items_of, number_of, numbers_of, text_of, texts_of, value_of, whole_of
from tests.io.dicom_maker import enhanced, slice_dataset

_PIXELS = np.arange(30, dtype=np.int16).reshape(5, 6)
_WANTED = frozenset(map(int, HEADER_TAGS))
_UNDEFINED = b"\xff\xff\xff\xff"
_TEST_FILES = Path(pydicom.__file__).parent / "data"


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Damaged files make pydicom warn and log: that is not what is tested."""
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def _outcome(read: Callable[[Path], object], path: Path) -> str:
    try:
        return repr(read(path))
    except ReadError as error:
        return f"{error.code}: {error.message}"


def _assert_same(path: Path) -> None:
    assert _outcome(read_instance, path) == _outcome(read_instance_by_pydicom, path), path.name


def _scan(path: Path) -> ScannedHeader:
    with path.open("rb", buffering=0) as file:
        return scan_header(file, _WANTED)


def _is_plain(path: Path) -> bool:
    try:
        _scan(path)
    except NotPlainError:
        return False
    return True


def _saved(dataset: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    """Save in any syntax: a FileDataset would refuse another one than its own."""
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset["PixelData"].VR = "OW"
    free = Dataset(dataset)
    free.file_meta, free.preamble = dataset.file_meta, b"\0" * 128
    free.save_as(path, enforce_file_format=True)
    return path


def _rich_slice(*, is_undefined: bool = False) -> FileDataset:
    """One slice with nested sequences before, between and after what is read."""
    dataset = slice_dataset(_PIXELS, (1.5, -2.25, 3.0))
    dataset.SpecificCharacterSet, dataset.PatientName = "ISO_IR 100", "M\u00fcller^Eva"
    dataset.ImageType, dataset.SeriesDescription = ["ORIGINAL", "PRIMARY"], "head  "
    dataset.WindowCenter, dataset.WindowWidth, dataset.AcquisitionNumber = [40, -600], [400, 1500], 7
    dataset.add_new("PixelPaddingValue", "SS", -2000)
    inner, outer, table = Dataset(), Dataset(), Dataset()
    inner.CodeValue, inner.CodeMeaning = "T-1", "inner"
    outer.ConceptCodeSequence, outer.Rows = [inner], 9
    table.LUTExplanation = "none"
    dataset.ReferencedImageSequence, dataset.RequestAttributesSequence = [outer, outer], [outer]
    private = dataset.private_block(0x0029, "SEGDESK TEST", create=True)
    private.add_new(0x01, "SQ", [outer])
    private.add_new(0x02, "OB", b"\x01\x02" * 20)
    if is_undefined:
        for element in dataset:
            if element.VR == "SQ":
                element.is_undefined_length = True
                for item in element.value:
                    item.is_undefined_length_sequence_item = True
    return dataset


@pytest.mark.parametrize("is_undefined", [False, True])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_plain_files_are_read_quickly_and_alike(tmp_path: Path, syntax: str, is_undefined: bool) -> None:
    path = _saved(_rich_slice(is_undefined=is_undefined), tmp_path / "a.dcm", syntax)
    assert _is_plain(path)
    _assert_same(path)
    header = _scan(path).header
    assert text_of(header, "PatientName") == "M\u00fcller^Eva"
    assert numbers_of(header, "ImagePositionPatient") == (1.5, -2.25, 3.0)
    assert value_of(header, "PixelPaddingValue") == -2000


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_functional_groups_are_read_quickly_and_alike(tmp_path: Path, syntax: str) -> None:
    positions = [(0.0, 0.0, 2.5 * n) for n in range(4)]
    dataset = enhanced(positions, np.zeros((4, 5, 6), np.int16), TemporalPositionIndex=[1, 2, 1, 2])
    path = _saved(dataset, tmp_path / "a.dcm", syntax)
    assert _is_plain(path)
    _assert_same(path)
    groups = items_of(_scan(path).header, "PerFrameFunctionalGroupsSequence")
    assert all(isinstance(group, QuickHeader) for group in groups)
    planes = [items_of(group, "PlanePositionSequence")[0] for group in groups]
    assert [numbers_of(plane, "ImagePositionPatient") for plane in planes] == positions


@pytest.mark.parametrize("fill", range(0, 64, 2))
def test_elements_across_the_edge_of_what_is_read_at_once_are_whole(tmp_path: Path, fill: int) -> None:
    dataset = _rich_slice(is_undefined=fill % 4 == 0)
    start = len(_saved(dataset, tmp_path / "short.dcm").read_bytes())
    dataset.private_block(0x0009, "SEGDESK TEST", create=True).add_new(0x01, "OB", b"\0" * (8192 - start + 4 * fill))
    path = _saved(dataset, tmp_path / "a.dcm")
    assert _is_plain(path)
    _assert_same(path)


def test_every_test_file_of_pydicom_gives_one_header() -> None:
    paths = sorted(path for path in _TEST_FILES.rglob("*") if path.is_file() and b"DICM" in path.read_bytes()[:132])
    assert len(paths) > 100
    for path in paths:
        _assert_same(path)
    assert sum(map(_is_plain, paths)) > 60


def test_every_kind_of_shared_scan_gives_one_header(shared_data: Path) -> None:
    plain = total = 0
    for folder in sorted({path.parent for path in shared_data.glob("dicom-*/**/*") if path.is_file()}):
        for path in sorted(path for path in folder.iterdir() if path.is_file())[:2]:
            with path.open("rb") as file:
                if file.read(132)[128:] != b"DICM":
                    continue
            _assert_same(path)
            total += 1
            plain += _is_plain(path)
    assert plain > 0.9 * total > 50


def _mutated(data: bytes, generator: random.Random) -> bytes:
    """Damage a file before its pixels: values, VRs, lengths, delimiters, missing and added bytes."""
    changed = bytearray(data)
    at = generator.randrange(128, len(data) - 80)
    kind = generator.randrange(7)
    if kind == 0:
        changed[at] = generator.randrange(256)
    elif kind == 1:
        changed[at] ^= 1 << generator.randrange(8)
    elif kind == 2:
        changed[at : at + 2] = generator.choice((b"DS", b"IS", b"US", b"SQ", b"UN", b"OB", b"LO", b"PN", b"ox"))
    elif kind == 3:
        marks = (_UNDEFINED, b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0", bytes(4))
        changed[at : at + 4] = generator.choice(marks)
    elif kind == 4:
        del changed[at : at + generator.choice((1, 2, 8))]
    elif kind == 5:
        changed[at:at] = generator.randbytes(generator.choice((1, 2, 4)))
    else:
        changed[at] = generator.choice(b"\\=^ \0\x1b\xe9.eE-+_9nN")
    return bytes(changed)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_damaged_files_give_one_header_or_one_error(tmp_path: Path, syntax: str) -> None:
    generator = random.Random(str(syntax))
    sources = [_saved(_rich_slice(is_undefined=flag), tmp_path / f"{flag}.dcm", syntax) for flag in (True, False)]
    whole = [path.read_bytes() for path in sources]
    path, plain = tmp_path / "damaged.dcm", 0
    for _ in range(250):
        path.write_bytes(_mutated(generator.choice(whole), generator))
        _assert_same(path)
        plain += _is_plain(path)
    assert 50 < plain < 250


def _without_preamble(data: bytes) -> bytes:
    return data[132:]


def _replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return change


_ROWS = struct.pack("<HH2sHH", 0x0028, 0x0010, b"US", 2, 5)


@pytest.mark.parametrize(
    "change",
    [
        _without_preamble,
        _replaced(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0"),
        _replaced(b"1.2.840.10008.1.2.1\0", b"1.2.840.113619.5.2\0\0"),
        _replaced(_ROWS, _ROWS + _ROWS),
        _replaced(_ROWS, _ROWS.replace(b"US", b"ox")),
        _replaced(_ROWS, struct.pack("<HH2sHI", 0x0028, 0x000F, b"UN", 0, 0xFFFFFFFF) + _ROWS),
        _replaced(_ROWS, struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + _ROWS),
        _replaced(_ROWS, struct.pack("<HH2sHI", 0x0028, 0x000F, b"OB", 0, 1 << 30) + _ROWS),
        _replaced(b"ISO_IR 100", b"utf-16    "),
        _replaced(b"CS\x0a\0ISO_IR 100", b"LO\x0a\0ISO_IR 100"),
        _replaced(b"UL\x04\0", b"US\x04\0"),
        lambda data: data[: data.index(_ROWS) + 3],
        lambda data: data[:140],
    ],
)
def test_whatever_is_unusual_is_left_to_pydicom(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    path = _saved(_rich_slice(), tmp_path / "a.dcm")
    path.write_bytes(change(path.read_bytes()))
    assert not _is_plain(path)
    _assert_same(path)


def test_an_implicit_file_that_looks_explicit_is_left_to_pydicom(tmp_path: Path) -> None:
    path = _saved(slice_dataset(_PIXELS, (0, 0, 0)), tmp_path / "a.dcm", ImplicitVRLittleEndian)
    long = struct.pack("<HHI", 0x0008, 0x0001, int.from_bytes(b"UL\0\0", "little"))
    first = struct.pack("<HH", 0x0008, 0x0016)
    path.write_bytes(_replaced(first, long + b" " * int.from_bytes(b"UL", "little") + first)(path.read_bytes()))
    assert not _is_plain(path)
    _assert_same(path)


def test_sequences_nested_without_end_are_left_to_pydicom(tmp_path: Path) -> None:
    dataset = slice_dataset(_PIXELS, (0, 0, 0))
    inner = Dataset()
    for _ in range(20):
        outer = Dataset()
        outer.ConceptCodeSequence = [inner]
        outer["ConceptCodeSequence"].is_undefined_length = True
        inner = outer
    dataset.ReferencedImageSequence = [inner]
    dataset["ReferencedImageSequence"].is_undefined_length = True
    path = _saved(dataset, tmp_path / "a.dcm")
    assert not _is_plain(path)
    _assert_same(path)


_READERS: dict[str, tuple[str, tuple[Callable[..., object], ...]]] = {
    "DS": ("PixelSpacing", (number_of, numbers_of)),
    "IS": ("InstanceNumber", (number_of, numbers_of, whole_of)),
    "US": ("Rows", (number_of, numbers_of, whole_of)),
    "FD": ("DiffusionBValue", (number_of, numbers_of)),
    "CS": ("ImageType", (text_of, texts_of)),
    "UI": ("SOPInstanceUID", (text_of, texts_of)),
    "LO": ("SeriesDescription", (text_of, texts_of)),
    "SH": ("StackID", (text_of, texts_of)),
    "PN": ("PatientName", (text_of,)),
    "DT": ("AcquisitionDateTime", (text_of, texts_of)),
    "TM": ("AcquisitionTime", (text_of, texts_of)),
}

_VALUES = (
    *(b"", b" ", b"\0", b"1", b" 1 ", b"1\0", b"1\\2", b"1\\", b"\\1", b"1.5\\2.5 ", b"1e3", b"1e999", b"-.5", b"+7"),
    *(b"--7", b"1_0", b"0x10", b"nan", b"inf", b"1 2", b"abc", b"1.2.840\0", b"A\\B ", b"A \\ B\0\0", b"\xe9t\xe9 "),
    *(b"\x1b$B3", b"A^B=C", b"Doe^Jane^^^ ", b"\x01\x00", b"\x01\x00\x02\x00", b"\x01\x02\x03", b"9" * 400),
    *(struct.pack("<d", 1.5), struct.pack("<2d", 1, 2), b"20200101", b"line\r\nline", b"A" * 70, b"1.2 \\ 1.3"),
)


@pytest.mark.parametrize("charset", [None, b"ISO_IR 100", b"ISO_IR 192", b"\\ISO 2022 IR 87"])
@pytest.mark.parametrize("stored_vr", [None, "UN", "LO", "IS", "DS", "same"])
@pytest.mark.parametrize("vr", sorted(_READERS))
def test_values_are_those_of_pydicom(vr: str, stored_vr: str | None, charset: bytes | None) -> None:
    keyword, readers = _READERS[vr]
    tag, stored = Tag(keyword), vr if stored_vr == "same" else stored_vr
    encodings = "iso8859" if charset is None else convert_encodings(charset.decode().split("\\"))
    for value in _VALUES:
        theirs = Dataset({tag: RawDataElement(tag, stored, len(value), value, 0, stored is None, True)})
        theirs.set_original_encoding(stored is None, True, encodings)
        elements = {int(tag): (stored, value)} | ({} if charset is None else {0x00080005: ("CS", charset)})
        ours = QuickHeader(elements, stored is None, None, lambda *_: None)
        for read in readers:
            assert _read_or_raised(read, ours, keyword) == _read_or_raised(read, theirs, keyword), (value, read)


def _read_or_raised(read: Callable[..., object], header: Dataset | QuickHeader, keyword: str) -> object:
    try:
        return read(header, keyword)
    except DAMAGED_FILE as error:
        return type(error)


def test_a_sequence_that_is_not_plain_is_taken_apart_by_pydicom() -> None:
    twice = b"\xfe\xff\x00\xe0\x14\0\0\0" + _ROWS + _ROWS.replace(b"\x05", b"\x06")
    assert scan_items(twice, False, None) is None
    header = QuickHeader({int(Tag("ReferencedImageSequence")): ("SQ", twice)}, False, None, scan_items)
    items = items_of(header, "ReferencedImageSequence")
    assert [type(item) for item in items] == [Dataset]
    assert [number_of(item, "Rows") for item in items] == [6]


def test_a_private_sequence_comes_as_pydicoms_element(tmp_path: Path) -> None:
    dataset = slice_dataset(_PIXELS, (0, 0, 0))
    item = Dataset()
    item.ImagePositionPatient = [1.0, 2.0, 3.0]
    dataset.add_new(0x00651051, "SQ", [item])
    dataset[0x00651051].is_undefined_length = True
    header = _scan(_saved(dataset, tmp_path / "a.dcm")).header
    assert 0x00651051 in header
    assert header.get(0x00651051).value[0].ImagePositionPatient == [1.0, 2.0, 3.0]
    assert header.get(0x00651050) is None


def test_an_unknown_keyword_is_a_programming_error() -> None:
    with pytest.raises(KeyError, match="NoSuchThing"):
        QuickHeader({}, False, None, lambda *_: None).get("NoSuchThing")
