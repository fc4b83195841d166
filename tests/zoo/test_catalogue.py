from __future__ import annotations

from pathlib import Path

import pytest

from segdesk.errors import BadModelFolder
from segdesk.zoo import catalogue
from segdesk.zoo.catalogue import find_model, list_models, scan_models
from tests.zoo.folders import edit_spec, folder


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Empty folders for the user's and the shipped models."""
    user, shipped = tmp_path / "user", tmp_path / "shipped"
    monkeypatch.setattr(catalogue, "user_models", lambda: user)
    monkeypatch.setattr(catalogue, "shipped_models", lambda: shipped)
    return user, shipped


def test_all_places_are_listed_with_the_damaged_ones_apart(places: tuple[Path, Path], tmp_path: Path) -> None:
    user, shipped = places
    folder(shipped / "b", name="b")
    folder(user / "c", name="c")
    folder(tmp_path / "project" / "a", name="a")
    folder(user / "broken", name="broken").weights_path.unlink()
    (user / "notes").mkdir()
    found = scan_models([tmp_path / "project", tmp_path / "project" / "a"])
    assert [model.spec.name for model in found.models] == ["a", "c", "b"]
    assert [Path(problem.path or "").name for problem in found.damaged] == ["broken"]
    assert len(list_models()) == 2


def test_a_model_is_found_by_name_version_and_folder(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    user, _ = places
    for version in ("9", "10", "10-beta"):
        folder(user / f"toy-{version}", version=version)
    assert find_model("toy").spec.version == "10"
    assert find_model("toy@9").spec.version == "9"
    assert find_model(user / "toy-9").spec.version == "9"
    assert find_model(str(user / "toy-9")).spec.version == "9"
    monkeypatch.chdir(user)
    assert find_model("toy-9").spec.version == "9"


def test_the_nearest_place_wins(places: tuple[Path, Path], tmp_path: Path) -> None:
    user, shipped = places
    folder(shipped / "toy", version="5")
    folder(user / "toy", version="2")
    assert find_model("toy").spec.version == "2"
    folder(tmp_path / "project" / "toy", version="1")
    assert find_model("toy", [tmp_path / "project"]).spec.version == "1"


@pytest.mark.parametrize(
    ("asked", "hint"),
    [("hipocampus-unet", "did you mean hippocampus-unet3d"), ("spleen", "known are hippocampus-unet3d"),
     ("hippocampus-unet3d@7", "did you mean hippocampus-unet3d@1")],
)  # fmt: skip
def test_an_unknown_name_is_answered_with_what_there_is(asked: str, hint: str, places: tuple[Path, Path]) -> None:
    folder(places[0] / "h", name="hippocampus-unet3d")
    with pytest.raises(BadModelFolder, match=hint) as caught:
        find_model(asked)
    assert caught.value.code == "not_found"


def test_without_any_model_the_message_says_so() -> None:
    with pytest.raises(BadModelFolder, match="there are none"):
        find_model("toy")


def test_a_damaged_model_asked_for_by_name_says_what_is_wrong(places: tuple[Path, Path]) -> None:
    made = folder(places[0] / "toy")
    edit_spec(made.path, lambda fields: fields.update(network={"name": "evil"}))
    with pytest.raises(BadModelFolder, match="unknown network"):
        find_model("toy")
