import json
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.core.labels import Label, LabelMap, LabelTable
from segdesk.core.provenance import Origin, OriginKind
from segdesk.errors import StoreError, WriteError
from segdesk.store.mask_file import content_sha256, mask_path, read_mask, write_mask
from tests.builders import oblique_geometry, sheared_geometry

SHAPE = (3, 4, 5)


def _labels(geometry=None, dtype=np.uint8, **origin):
    grid = geometry or oblique_geometry(SHAPE)
    array = np.arange(60, dtype=dtype).reshape(SHAPE)
    table = LabelTable([Label(1, 'Leber, "rechts" ü\n', (1, 2, 3)), Label(300, "x", (0, 0, 0))])
    return LabelMap((array,), grid, table, Origin(OriginKind.HUMAN, "Ann", **origin))


def _stack():
    rng = np.random.default_rng(1)
    return SliceStackGeometry(SHAPE, rng.normal(size=(3, 4, 3)), rng.uniform(1, 2, 3), orientation_known=False)


@pytest.mark.parametrize(
    "grid", [oblique_geometry(SHAPE), sheared_geometry(SHAPE), _stack()], ids=["oblique", "sheared", "stack"]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_mask_comes_back_exactly(tmp_path, grid, dtype):
    labels = _labels(grid, dtype, parents=("a", "b"), parameters={"roi": "0:1", "x": 0.1, "n": None})
    again = read_mask(tmp_path, write_mask(tmp_path, labels))
    np.testing.assert_array_equal(again.array, labels.array)
    assert again.array.dtype == dtype
    assert again.table == labels.table
    assert again.origin == labels.origin
    assert again.geometry.sha256() == grid.sha256()
    assert (again.geometry.orientation_known, again.geometry.source) == (grid.orientation_known, grid.source)
    if isinstance(grid, Geometry):
        assert again.geometry == grid


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(np.uint16, SHAPE), hnp.arrays(np.uint8, SHAPE))
def test_all_layers_come_back(tmp_path_factory, first, second):
    folder = tmp_path_factory.mktemp("masks")
    labels = LabelMap((first, second), Geometry.from_spacing(SHAPE), LabelTable())
    again = read_mask(folder, write_mask(folder, labels))
    np.testing.assert_array_equal(again.layers[0], first)
    np.testing.assert_array_equal(again.layers[1], second)
    assert again.layers[1].dtype == np.uint8


def test_the_name_is_the_hash_of_the_content_and_the_file_lies_in_its_folder(tmp_path):
    labels = _labels()
    sha256 = write_mask(tmp_path, labels)
    assert sha256 == content_sha256(labels)
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.zip")] == [f"{sha256[:2]}/{sha256}.zip"]


@pytest.mark.parametrize("change", ["voxel", "name", "origin", "grid"])
def test_any_other_content_has_another_name(change):
    labels, other = _labels(), _labels()
    other.origin = labels.origin
    assert content_sha256(labels) == content_sha256(other)
    if change == "voxel":
        other.array[0, 0, 0] = 9
    elif change == "name":
        other.table = other.table.with_label(Label(1, "spleen", (1, 2, 3)))
    elif change == "origin":
        other.origin = Origin(OriginKind.HUMAN, "Bob", created=labels.origin.created)
    else:
        other.geometry = sheared_geometry(SHAPE)
    assert content_sha256(other) != content_sha256(labels)


def test_a_plain_zip_and_numpy_can_read_it(tmp_path):
    labels = _labels()
    with zipfile.ZipFile(mask_path(tmp_path, write_mask(tmp_path, labels))) as archive:
        header = json.loads(archive.read("header.json"))
        with archive.open("layer0.npy") as file:
            np.testing.assert_array_equal(np.load(file), labels.array)
    np.testing.assert_allclose(header["grid"]["affine_kji_to_lps"], labels.geometry.affine_kji_to_lps, atol=0)


def test_writing_the_same_mask_twice_keeps_one_file(tmp_path):
    labels = _labels()
    assert write_mask(tmp_path, labels) == write_mask(tmp_path, labels)
    assert len(list(tmp_path.rglob("*"))) == 2


def test_a_missing_mask_is_an_error(tmp_path):
    with pytest.raises(StoreError, match="missing"):
        read_mask(tmp_path, "ab" * 32)


def test_a_mask_under_another_name_is_an_error(tmp_path):
    path = mask_path(tmp_path, write_mask(tmp_path, _labels()))
    other = mask_path(tmp_path, "ab" * 32)
    other.parent.mkdir()
    path.rename(other)
    with pytest.raises(StoreError, match="not the one"):
        read_mask(tmp_path, "ab" * 32)


@pytest.mark.parametrize("keep", [0, 10, 200])
def test_a_truncated_mask_is_an_error(tmp_path, keep):
    sha256 = write_mask(tmp_path, _labels())
    path = mask_path(tmp_path, sha256)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(StoreError, match="damaged"):
        read_mask(tmp_path, sha256)


def test_every_flipped_byte_is_noticed_or_harmless(tmp_path):
    labels = _labels()
    sha256 = write_mask(tmp_path, labels)
    path = mask_path(tmp_path, sha256)
    sound = path.read_bytes()
    for position in range(0, len(sound), 7):
        broken = bytearray(sound)
        broken[position] ^= 0x55
        path.write_bytes(bytes(broken))
        try:
            again = read_mask(tmp_path, sha256)
        except StoreError:
            continue
        np.testing.assert_array_equal(again.array, labels.array)


def test_a_mask_of_a_newer_format_is_refused(tmp_path):
    path = mask_path(tmp_path, "ab" * 32)
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.json", '{"format": 2}')
    with pytest.raises(StoreError, match="newer"):
        read_mask(tmp_path, "ab" * 32)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "masks").write_text("a file")
    with pytest.raises(WriteError):
        write_mask(tmp_path / "masks", _labels())


def test_an_impossible_header_is_refused_without_reading_it(tmp_path, monkeypatch):
    sha256 = write_mask(tmp_path, _labels())
    monkeypatch.setattr("segdesk.store.mask_file._LARGEST_HEADER", 10)
    with pytest.raises(StoreError, match="damaged"):
        read_mask(tmp_path, sha256)


def test_a_disk_that_returns_other_bytes_is_noticed_before_anything_counts(tmp_path, monkeypatch):
    def lying(path, labels):
        path.write_bytes(b"not what was meant")

    monkeypatch.setattr("segdesk.store.mask_file._write", lying)
    with pytest.raises(WriteError) as caught:
        write_mask(tmp_path, _labels())
    assert caught.value.code == "verify_failed"
    assert not list(tmp_path.rglob("*.zip"))
