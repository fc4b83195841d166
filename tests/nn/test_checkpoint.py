from __future__ import annotations

from pathlib import Path

import torch

from segdesk.nn.checkpoint import Checkpoint, load_checkpoint, save_checkpoint


def _state(step: int) -> Checkpoint:
    return Checkpoint(step, {"network.w": torch.full((3,), float(step)), "n": torch.tensor(step)}, {"seconds": 1.5})


def test_the_newest_state_comes_back_exactly(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "run", _state(1), "id")
    save_checkpoint(tmp_path / "run", _state(2), "id")
    found = load_checkpoint(tmp_path / "run", "id")
    assert found is not None
    assert (found.step, found.numbers) == (2, {"seconds": 1.5})
    assert torch.equal(found.tensors["network.w"], torch.full((3,), 2.0))


def test_only_two_states_are_kept(tmp_path: Path) -> None:
    for step in range(5):
        save_checkpoint(tmp_path, _state(step), "id")
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == [
        "state-00000003.safetensors",
        "state-00000004.safetensors",
    ]


def test_a_truncated_state_falls_back_to_the_one_before(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, _state(1), "id")
    save_checkpoint(tmp_path, _state(2), "id")
    newest = tmp_path / "state-00000002.safetensors"
    newest.write_bytes(newest.read_bytes()[:-4])
    found = load_checkpoint(tmp_path, "id")
    assert found is not None
    assert found.step == 1


def test_another_run_damage_and_nothing_give_no_state(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path, "id") is None
    save_checkpoint(tmp_path, _state(1), "id")
    assert load_checkpoint(tmp_path, "other") is None
    (tmp_path / "checkpoint.json").write_text("{")
    assert load_checkpoint(tmp_path, "id") is None


def test_a_manifest_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, _state(1), "id")
    manifest = tmp_path / "checkpoint.json"
    manifest.write_text(manifest.read_text().replace("state-00000001", "../state-00000001"))
    assert load_checkpoint(tmp_path, "id") is None
