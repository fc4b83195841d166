"""Commands on files that foreign decoders choke on, and on very large ones."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdesk.cli import reading
from segdesk.io import image_reader
from segdesk.io.limits import SizePolicy, use_policy
from segdesk.workers.decoder import Decoder
from tests.cli.conftest import Run

BAD = (sys.executable, str(Path(__file__).parents[1] / "workers" / "bad_decoder.py"))


@pytest.fixture
def bad_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Decoder]:
    decoder = Decoder(tmp_path / "logs", BAD)
    monkeypatch.setattr(reading, "_decoder", lambda: decoder)
    yield decoder
    decoder.close()


def picture(path: Path) -> Path:
    Image.fromarray(np.zeros((3, 4), np.uint8)).save(path)
    return path


@pytest.mark.parametrize("command", ["info", "convert"])
def test_a_crash_in_a_codec_is_one_line_and_nothing_is_written(
    run: Run, bad_decoder: Decoder, tmp_path: Path, command: str
) -> None:
    target = [tmp_path / "out.nii.gz"] if command == "convert" else []
    done = run(command, picture(tmp_path / "crash.png"), *target)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "decoder_crashed" in done.err
    assert "Traceback" not in done.err
    assert not any(path.exists() for path in target)


def test_a_folder_with_one_bad_file_shows_the_others(run: Run, bad_decoder: Decoder, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    picture(folder / "crash.png")
    picture(folder / "good.png")
    told = run("info", folder, "--json").json
    assert [entry["uid"] for entry in told["series"]] == ["good.png"]
    assert [refusal["code"] for refusal in told["refused"]] == ["decoder_crashed"]


def test_what_our_own_code_takes_apart_needs_no_child(run: Run, bad_decoder: Decoder, scan_file: Path) -> None:
    assert run("info", scan_file).code == 0
    assert run("info", scan_file.parent / "missing.dcm").code == 2
    assert bad_decoder.pids == ()


def test_very_large_images_need_the_users_word(run: Run, scan_file: Path) -> None:
    with use_policy(SizePolicy(max_bytes=100)):
        refused = run("info", scan_file)
        assert (refused.code, run("info", scan_file, "--allow-large").code) == (2, 0)
        assert "too_large" in refused.err
        # The word holds for one command.
        assert run("info", scan_file).code == 2


def test_after_a_command_files_are_read_here_again(run: Run, bad_decoder: Decoder, tmp_path: Path) -> None:
    run("info", picture(tmp_path / "good.png"))
    assert image_reader.read_elsewhere(None) is None
