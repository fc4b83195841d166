from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from segdesk.workers import decoder, inference, model_import, training
from segdesk.workers.module_command import module_command


def test_a_file_beside_the_scans_is_no_module_of_ours(tmp_path: Path) -> None:
    for name in ("numpy", "nibabel", "segdesk", "json"):
        (tmp_path / f"{name}.py").write_text("open('canary', 'w')\nraise SystemExit(3)\n")
    done = subprocess.run(module_command("segdesk", "--version"), cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    "command",
    [
        decoder.SERVE_COMMAND, inference.SERVE_COMMAND, training.FINETUNE_COMMAND, model_import.CONVERT_COMMAND,
    ],
)  # fmt: skip
def test_every_child_is_started_that_way(command: tuple[str, ...]) -> None:
    assert command == module_command(command[-1])
