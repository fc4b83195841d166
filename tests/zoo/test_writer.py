from __future__ import annotations

from pathlib import Path

import pytest

from segdesk.errors import BadModelFolder, WriteError
from segdesk.zoo import writer
from segdesk.zoo.model_folder import ModelFolder, sha256_of_file
from segdesk.zoo.writer import write_model_folder
from tests.zoo.folders import WEIGHTS, folder, spec


def names(path: Path) -> set[str]:
    return {entry.name for entry in path.iterdir()}


def test_a_written_folder_is_complete_and_verified(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(WEIGHTS)
    extras = {"log.txt": "hi", "curve.png": b"\x89PNG", "recipe.json": tmp_path / "w"}
    made = write_model_folder(tmp_path / "a" / "toy", spec(), tmp_path / "w", "# Card", extras)
    assert names(made.path) == {"model.json", "weights.safetensors", "MODEL_CARD.md", *extras}
    assert made.sha256 == sha256_of_file(tmp_path / "w")
    assert names(tmp_path / "a") == {"toy"}


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc/x", "a/b", "a\\b", "..", ".", "", ".hidden", "model.json", "MODEL.JSON", "Weights.safetensors",
     "model_card.md", "a\nb", "x" * 121],
)  # fmt: skip
def test_extra_files_cannot_leave_the_folder_or_replace_its_parts(name: str, tmp_path: Path) -> None:
    with pytest.raises(WriteError):
        write_model_folder(tmp_path / "toy", spec(), WEIGHTS, "", {name: "x"})
    assert names(tmp_path) == set()


def test_nothing_is_overwritten_unless_told(tmp_path: Path) -> None:
    old = folder(tmp_path / "toy", title="Old")
    with pytest.raises(WriteError) as caught:
        folder(tmp_path / "toy")
    assert caught.value.code == "exists"
    assert ModelFolder.load(old.path).spec.title == "Old"
    write_model_folder(old.path, spec(title="New"), WEIGHTS, "", overwrite=True)
    assert ModelFolder.load(old.path).spec.title == "New"
    assert names(tmp_path) == {"toy"}


def test_only_a_model_folder_is_ever_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    for target in ("photos", "link"):
        with pytest.raises(WriteError, match="not replaced"):
            write_model_folder(tmp_path / target, spec(), WEIGHTS, "", overwrite=True)
    assert names(tmp_path / "photos") == {"a.jpg"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_bad_weights_leave_nothing_behind_and_the_old_folder_whole(overwrite: bool, tmp_path: Path) -> None:
    if overwrite:
        folder(tmp_path / "toy", title="Old")
    with pytest.raises(BadModelFolder, match="not written"):
        write_model_folder(tmp_path / "toy", spec(), b"\x80\x04no", "", overwrite=overwrite)
    assert names(tmp_path) == ({"toy"} if overwrite else set())


def test_a_disk_that_refuses_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer.os, "fsync", full)
    with pytest.raises(WriteError, match="No space left"):
        folder(tmp_path / "toy")
    assert names(tmp_path) == set()


def test_the_old_folder_comes_back_when_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(tmp_path / "toy", title="Old")
    rename = Path.rename

    def fails_for_the_new_one(self: Path, target: Path) -> Path:
        if self.suffix == ".partial":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails_for_the_new_one)
    with pytest.raises(WriteError, match="Input/output"):
        write_model_folder(tmp_path / "toy", spec(title="New"), WEIGHTS, "", overwrite=True)
    monkeypatch.undo()
    assert ModelFolder.load(tmp_path / "toy").spec.title == "Old"
    assert names(tmp_path) == {"toy"}
