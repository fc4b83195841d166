"""The whole demo, with a toy model and a second of training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segdesk.cli import demo as demo_command
from segdesk.cli.main import main
from segdesk.nn.networks.registry import network_of
from segdesk.store.project import Project
from segdesk.zoo.spec import LabelSpec, NetworkSpec
from tests.nn.toys import save_model, toy_spec


def _toy_hippocampus(folder: Path) -> Path:
    """A model that draws the brightest voxels: label 2 above 218, label 1 above 222."""
    spec = toy_spec(
        name="toy-hippocampus",
        title="Two thresholds",
        network=NetworkSpec(name="residual_unet", parameters={"widths": [1]}),
        labels=(
            LabelSpec(value=1, name="anterior", colour_rgb=(230, 159, 0)),
            LabelSpec(value=2, name="posterior", colour_rgb=(86, 180, 233)),
        ),
        patch_kji=(40, 40, 40),
    )
    network = network_of(spec)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.head.weight[1], network.head.bias[1] = 1.0, -220.0
        network.head.weight[2], network.head.bias[2] = 0.5, -109.0
    return save_model(folder, spec, network).path


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """The folder of a finished demo, and the JSON it printed."""
    folder = tmp_path_factory.mktemp("demo")
    model = _toy_hippocampus(folder / "toy")
    with (folder / "out.json").open("w") as out, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", out)
        words = ["demo", "--headless", "--dir", folder / "d", "--model", model, "--seconds", "1", "--json", "--quiet"]
        assert main([str(word) for word in words]) == 0
    return folder / "d", json.loads((folder / "out.json").read_text())


@pytest.mark.slow
def test_the_demo_ends_with_an_honest_verdict(played: tuple[Path, dict]) -> None:
    _, found = played
    assert found["finetune"]["verdict"] == "cannot_judge"
    assert found["finetune"]["promoted"] is False


@pytest.mark.slow
def test_the_readers_are_called_simulated_everywhere(played: tuple[Path, dict]) -> None:
    folder, found = played
    assert {reader["kind"] for reader in found["readers"]} == {"simulated"}
    assert found["warnings"][0]["code"] == "simulated"
    project = Project.open(folder / "project")
    assert {rater.kind.value for rater in project.raters.all() if "Reader A" in rater.name} == {"simulated"}
    project.close()
    assert "No person has read this scan" in (folder / "report.html").read_text()


@pytest.mark.slow
def test_votes_are_blind_and_both_consensuses_are_there(played: tuple[Path, dict]) -> None:
    folder, found = played
    assert set(found["consensus"]) == {"majority", "staple"}
    assert found["disputes"] > 0
    project = Project.open(folder / "project")
    case = project.case("mni152_t1")
    votes = project.votes.counted(case.id)
    assert len(votes) == 3
    assert {vote.phase.value for vote in votes} == {"blind"}
    assert project.verify() == ()
    project.close()


@pytest.mark.slow
def test_the_scores_say_where_the_reference_came_from(played: tuple[Path, dict]) -> None:
    folder, found = played
    model = next(entry for entry in found["scores"] if entry["kind"] == "model")
    assert any("draft" in note for note in model["notes"])
    assert len(found["scores"]) == 4
    assert "began as the model&#39;s own draft" in (folder / "report.html").read_text()


@pytest.mark.slow
def test_the_pictures_show_the_window(played: tuple[Path, dict]) -> None:
    _, found = played
    assert len(found["pictures"]) == 7
    for path in found["pictures"]:
        pixels = np.asarray(Image.open(path).convert("L"))
        assert pixels.shape == (900, 1440)
        assert pixels.std() > 5


@pytest.mark.slow
def test_the_two_dimensional_draft_is_called_untrained(played: tuple[Path, dict]) -> None:
    folder, found = played
    assert "untrained" in found["slice"]["model"]
    assert "The 2D network is untrained" in (folder / "report.html").read_text()


@pytest.mark.slow
def test_a_finished_demo_is_not_replaced(played: tuple[Path, dict], capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = played
    model = folder.parent / "toy"
    assert main(["demo", "--headless", "--dir", str(folder), "--model", str(model)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (folder / "report.html").is_file()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({}, False), ({"DISPLAY": ":1"}, True), ({"WAYLAND_DISPLAY": "w"}, True),
     ({"DISPLAY": ":1", "QT_QPA_PLATFORM": "offscreen"}, False)],
)  # fmt: skip
def test_a_display_is_noticed(environment: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", "linux")
    assert demo_command.has_display() is expected
