"""`segdesk models`."""

from __future__ import annotations

from pathlib import Path

from segdesk.zoo.model_folder import WEIGHTS_NAME


def test_models_of_a_folder_are_listed(run, toy_model: Path) -> None:
    done = run("models", "list", "--folder", toy_model.parent, "--json")
    assert "toy" in [model["name"] for model in done.json["models"]]
    assert "toy@1" in run("models", "list", "--folder", toy_model.parent).out


def test_a_damaged_model_is_listed_as_such(run, toy_model: Path) -> None:
    (toy_model / WEIGHTS_NAME).write_bytes(b"short")
    done = run("models", "list", "--folder", toy_model, "--json")
    assert done.code == 0
    assert [problem["code"] for problem in done.json["damaged"]] == ["bad_model"]


def test_a_model_is_shown_with_its_labels_and_channels(run, toy_model: Path) -> None:
    shown = run("models", "show", toy_model, "--json").json
    assert shown["labels"] == {"7": "bright"}
    assert shown["channels"] == ["image"]
    assert "bright" in run("models", "show", toy_model).out


def test_a_whole_model_is_verified(run, toy_model: Path) -> None:
    assert run("models", "verify", toy_model, "--json").json["ok"] is True


def test_one_flipped_byte_fails_the_verification(run, toy_model: Path) -> None:
    weights = bytearray((toy_model / WEIGHTS_NAME).read_bytes())
    weights[-1] ^= 1
    (toy_model / WEIGHTS_NAME).write_bytes(bytes(weights))
    done = run("models", "verify", toy_model, "--json")
    assert done.code == 2
    assert done.json["error"]["code"] == "bad_model"


def test_an_unknown_name_is_not_found(run) -> None:
    done = run("models", "show", "no-such-model", "--json")
    assert done.code == 2
    assert done.json["error"]["code"] == "not_found"
