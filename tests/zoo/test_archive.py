"""Archives of strangers stay below their folder, and cost no more than they say."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from segdesk.errors import ImportRefused, WriteError
from segdesk.zoo import archive as archive_module
from segdesk.zoo import packing
from segdesk.zoo.archive import pack, unpack
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.packing import export_zip
from tests.zoo.folders import folder

Entries = list[tuple[str | zipfile.ZipInfo, bytes]]


def _zip(entries: Entries, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as opened:
        for entry, content in entries:
            opened.writestr(entry, content)
    return buffer.getvalue()


def _with_mode(name: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3
    entry.external_attr = mode << 16
    return entry


def _lying(says: int) -> bytes:
    """An entry whose headers name another size than what comes out."""
    content = bytearray(_zip([("a.txt", b"x" * 5000)], zipfile.ZIP_DEFLATED))
    central = content.rfind(b"PK\x01\x02")
    struct.pack_into("<I", content, 22, says)
    struct.pack_into("<I", content, central + 24, says)
    return bytes(content)


BAD: dict[str, Callable[[], bytes]] = {
    "up": lambda: _zip([("../evil", b"x")]),
    "up in the middle": lambda: _zip([("a/../../evil", b"x")]),
    "absolute": lambda: _zip([("/etc/evil", b"x")]),
    "drive": lambda: _zip([("C:evil", b"x")]),
    "backslash": lambda: _zip([("a\\..\\evil", b"x")]).replace(b"a/../evil", b"a\\..\\evil"),
    "here": lambda: _zip([("./a", b"x")]),
    "double slash": lambda: _zip([("a//b", b"x")]),
    "link": lambda: _zip([(_with_mode("link", stat.S_IFLNK | 0o777), b"/etc/passwd")]),
    "device": lambda: _zip([(_with_mode("null", stat.S_IFCHR | 0o666), b"")]),
    "two of one name": lambda: _zip([("a", b"x"), ("A", b"y")]),
    "two of one name in Unicode": lambda: _zip([("\u00e9", b"x"), ("e\u0301", b"y")]),
    "a file that is also a folder": lambda: _zip([("a", b"x"), ("a/b", b"y")]),
    "name of a device": lambda: _zip([("aux.txt", b"x")]),
    "trailing dot": lambda: _zip([("evil.", b"x")]),
    "control characters": lambda: _zip([("a\x1b[2Jb", b"x")]),
    "turned text": lambda: _zip([("a\u202eb", b"x")]),
    "long name": lambda: _zip([("a" * 300, b"x")]),
    "deep": lambda: _zip([("a/" * 40 + "b", b"x")]),
    "bomb": lambda: _zip([("zeros", bytes(8 << 20))], zipfile.ZIP_DEFLATED),
    "larger than it says": lambda: _lying(10),
    "smaller than it says": lambda: _lying(6000),
    "too many": lambda: _zip([(f"{n}", b"") for n in range(archive_module.MAX_ENTRIES + 1)]),
    "cut short": lambda: _zip([("a", b"x" * 100)])[:60],
    "no archive": lambda: b"PK\x03\x04nothing",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", BAD)
def test_what_would_leave_the_folder_or_lies_is_refused(kind: str, tmp_path: Path) -> None:
    (tmp_path / "bad.zip").write_bytes(BAD[kind]())
    inside = tmp_path / "outer" / "inside"
    inside.mkdir(parents=True)
    with pytest.raises(ImportRefused) as caught:
        unpack(tmp_path / "bad.zip", inside)
    assert caught.value.message.isprintable()
    assert [path.name for path in (tmp_path / "outer").iterdir()] == ["inside"]


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    content = bytearray(_zip([("a", b"x")]))
    content[6] |= 1
    content[content.rfind(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "bad.zip").write_bytes(content)
    with pytest.raises(ImportRefused, match="encrypted"):
        unpack(tmp_path / "bad.zip", tmp_path)


def test_the_whole_is_capped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "MAX_WEIGHT_BYTES", 100)
    (tmp_path / "big.zip").write_bytes(_zip([("a", b"x" * 60), ("b", b"y" * 60)]))
    with pytest.raises(ImportRefused, match="unpack to more"):
        unpack(tmp_path / "big.zip", tmp_path)


def test_plain_files_and_folders_come_out_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "good.zip").write_bytes(_zip([("m/", b""), ("m/Größe.txt", b"x" * 3000)], zipfile.ZIP_DEFLATED))
    unpack(tmp_path / "good.zip", tmp_path)
    assert (tmp_path / "m" / "Größe.txt").read_bytes() == b"x" * 3000


def test_the_bytes_of_an_archive_depend_on_names_and_contents_only(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")
    pack([("x/a", tmp_path / "a"), ("x/b", tmp_path / "b")], tmp_path / "one.zip")
    (tmp_path / "b").touch()
    (tmp_path / "b").chmod(0o600)
    pack([("x/b", tmp_path / "b"), ("x/a", tmp_path / "a")], tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_a_model_folder_survives_its_zip(tmp_path: Path) -> None:
    model = folder(tmp_path / "toy")
    export_zip(model, tmp_path / "toy.zip")
    (tmp_path / "there").mkdir()
    unpack(tmp_path / "toy.zip", tmp_path / "there")
    back = ModelFolder.load(tmp_path / "there" / "toy")
    back.verify()
    assert back.spec == model.spec


def test_a_zip_that_reads_back_differently_never_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = folder(tmp_path / "toy")

    def forgets(files: object, path: Path) -> None:
        pack([("toy/model.json", model.path / "model.json")], path)

    monkeypatch.setattr(packing, "pack", forgets)
    with pytest.raises(WriteError) as caught:
        export_zip(model, tmp_path / "toy.zip")
    assert caught.value.code == "verify_failed"
    assert {path.name for path in tmp_path.iterdir()} == {"toy"}


def test_a_zip_is_not_overwritten_unasked(tmp_path: Path) -> None:
    model = folder(tmp_path / "toy")
    (tmp_path / "toy.zip").write_bytes(b"mine")
    with pytest.raises(WriteError) as caught:
        export_zip(model, tmp_path / "toy.zip")
    assert caught.value.code == "exists"
    assert (tmp_path / "toy.zip").read_bytes() == b"mine"
