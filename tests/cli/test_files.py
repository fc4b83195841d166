"""Checks before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from segdesk.cli.files import reader_names, require_exists, require_free, stem_of
from segdesk.errors import NotFound, SegdeskError, UsageError


def test_a_missing_input_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        require_exists(tmp_path, tmp_path / "no")


@pytest.mark.parametrize("where", ["there.nii", ".", "no/folder.nii"])
def test_an_output_that_cannot_be_made_is_refused(where: str, tmp_path: Path) -> None:
    (tmp_path / "there.nii").touch()
    with pytest.raises(SegdeskError):
        require_free((tmp_path / where,), overwrite=False)


def test_overwrite_allows_a_file_that_exists(tmp_path: Path) -> None:
    (tmp_path / "there.nii").touch()
    require_free((tmp_path / "there.nii", None), overwrite=True)


def test_an_input_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.nii").touch()
    with pytest.raises(UsageError):
        require_free((tmp_path / "a.nii",), overwrite=True, inputs=[tmp_path / "a.nii"])


def test_two_outputs_need_two_names(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        require_free((tmp_path / "a.nii", tmp_path / "a.nii"), overwrite=False)


@pytest.mark.parametrize(
    ("name", "stem"), [("a.nii.gz", "a"), ("a.b.NII", "a.b"), ("x.seg.nrrd", "x"), ("x.txt", "x.txt"), ("x", "x")]
)
def test_stems(name: str, stem: str) -> None:
    assert stem_of(Path(name)) == stem


def test_readers_are_named_by_their_files() -> None:
    assert reader_names([Path("d/anna.nii.gz"), Path("d/ben.nii")], "") == ("anna", "ben")


def test_files_of_one_name_are_told_apart_by_their_folders() -> None:
    assert reader_names([Path("anna/m.nii"), Path("ben/m.nii")], "") == ("anna/m", "ben/m")


def test_given_names_are_used() -> None:
    assert reader_names([Path("a.nii"), Path("b.nii")], "Anna, Ben") == ("Anna", "Ben")


@pytest.mark.parametrize("names", ["Anna", "Anna,Anna", "Anna,", "a,b,c"])
def test_names_that_do_not_fit_are_refused(names: str) -> None:
    with pytest.raises(UsageError):
        reader_names([Path("a.nii"), Path("b.nii")], names)


def test_readers_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(UsageError):
        reader_names([Path("x/a.nii"), Path("x/a.nii")], "")
