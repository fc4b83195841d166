"""Files appear whole, verified, or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from segdesk.errors import WriteError
from segdesk.io.atomic import name_suffix, replace_file


def _write(path: Path) -> None:
    path.write_bytes(b"new")


def _fail_with(number: int) -> None:
    raise OSError(number, os.strerror(number))


def test_the_file_is_there_and_nothing_else(tmp_path: Path) -> None:
    replace_file(tmp_path / "a.txt", _write)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_bytes() == b"new"


def test_an_existing_file_is_kept_unless_overwriting_is_allowed(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_bytes(b"old")
    with pytest.raises(WriteError) as caught:
        replace_file(target, _write)
    assert caught.value.code == "exists"
    assert target.read_bytes() == b"old"
    replace_file(target, _write, overwrite=True)
    assert target.read_bytes() == b"new"


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"

    def slow(path: Path) -> None:
        _write(path)
        target.write_bytes(b"faster")

    with pytest.raises(WriteError) as caught:
        replace_file(target, slow)
    assert caught.value.code == "exists"
    assert target.read_bytes() == b"faster"


def test_a_dangling_link_counts_as_existing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to(tmp_path / "nowhere")
    with pytest.raises(WriteError) as caught:
        replace_file(tmp_path / "a.txt", _write)
    assert caught.value.code == "exists"


def test_a_file_that_reads_back_differently_is_thrown_away(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_bytes(b"old")
    with pytest.raises(WriteError) as caught:
        replace_file(target, _write, lambda path: path.read_bytes() == b"other", overwrite=True)
    assert caught.value.code == "verify_failed"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert target.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only"), (errno.EFBIG, "size limit"), (errno.EIO, "error")],
)
def test_a_failing_disk_is_one_clear_line_and_leaves_nothing(tmp_path: Path, number: int, words: str) -> None:
    def write(path: Path) -> None:
        path.write_bytes(b"hal")
        _fail_with(number)

    with pytest.raises(WriteError, match=words) as caught:
        replace_file(tmp_path / "a.txt", write)
    assert caught.value.code == "write_failed"
    assert "\n" not in caught.value.message
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named_as_the_reason(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="folder does not exist"):
        replace_file(tmp_path / "none" / "a.txt", _write)


def test_any_error_of_the_writer_leaves_nothing(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        path.write_bytes(b"hal")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_file(tmp_path / "a.txt", write)
    assert list(tmp_path.iterdir()) == []


def test_folders_without_hard_links_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", lambda *_: _fail_with(errno.EPERM))
    replace_file(tmp_path / "a.txt", _write)
    assert (tmp_path / "a.txt").read_bytes() == b"new"


def test_without_hard_links_a_faster_writer_still_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", lambda *_: _fail_with(errno.EPERM))

    def slow(path: Path) -> None:
        _write(path)
        (tmp_path / "a.txt").write_bytes(b"faster")

    with pytest.raises(WriteError) as caught:
        replace_file(tmp_path / "a.txt", slow)
    assert caught.value.code == "exists"


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.nii.gz", ".nii.gz"), ("A.SEG.NRRD", ".SEG.NRRD"), ("a.b.png", ".png"), ("noext", ""),
        ("x.a-sentence-that-is-no-suffix", ""),
    ],
)  # fmt: skip
def test_the_temporary_name_keeps_the_extension(tmp_path: Path, name: str, suffix: str) -> None:
    seen: list[str] = []
    assert name_suffix(Path(name)) == suffix
    replace_file(tmp_path / name, lambda path: (seen.append(path.name), _write(path))[1])
    assert seen[0].endswith(suffix)


def test_a_name_too_long_for_the_disk_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="too long"):
        replace_file(tmp_path / ("x" * 300), _write)


def test_names_of_any_script_work(tmp_path: Path) -> None:
    for name in ("Müller 'x'.txt", '"q"\n.txt', "脳.txt", "y" * 250):
        replace_file(tmp_path / name, _write)
        assert (tmp_path / name).read_bytes() == b"new"
