"""Every command meets every kind of bad input: one clear line, exit 2, nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.core.volume import Volume
from segdesk.io import write_labels, write_volume
from segdesk.zoo.model_folder import WEIGHTS_NAME
from tests.nn.toys import threshold_model

_GRID = Geometry.from_spacing((4, 6, 8), (2.0, 1.0, 1.0))


def _text(folder: Path) -> Path:
    (folder / "notes.nii.gz").write_text("this is no image")
    return folder / "notes.nii.gz"


def _empty_folder(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def _empty_file(folder: Path) -> Path:
    (folder / "empty.nii.gz").touch()
    return folder / "empty.nii.gz"


def _truncated(folder: Path) -> Path:
    noise = np.random.default_rng(1).normal(size=_GRID.shape_kji).astype(np.float32)
    write_volume(Volume(noise, _GRID), folder / "whole.nii")
    whole = (folder / "whole.nii").read_bytes()
    (folder / "whole.nii").unlink()
    (folder / "cut.nii").write_bytes(whole[: len(whole) // 2])
    return folder / "cut.nii"


def _missing(folder: Path) -> Path:
    return folder / "no-such-file.nii.gz"


BAD: dict[str, Callable[[Path], Path]] = {
    "text": _text,
    "empty folder": _empty_folder,
    "empty file": _empty_file,
    "truncated": _truncated,
    "missing": _missing,
}

COMMANDS: dict[str, tuple[str, ...]] = {
    "info": ("info", "BAD"),
    "convert": ("convert", "BAD", "OUT"),
    "predict": ("predict", "BAD", "OUT", "--model", "MODEL", "--device", "cpu"),
    "evaluate candidate": ("evaluate", "BAD", "GOOD", "--csv", "OUT"),
    "evaluate reference": ("evaluate", "GOOD", "BAD", "--report", "OUT"),
    "agree": ("agree", "GOOD", "BAD"),
    "consensus": ("consensus", "GOOD", "BAD", "--out", "OUT"),
    "project add": ("project", "add", "PROJECT", "BAD"),
    "project status": ("project", "status", "BAD"),
    "project verify": ("project", "verify", "BAD"),
    "models show": ("models", "show", "BAD"),
    "models verify": ("models", "verify", "BAD"),
    "train": ("train", "--data", "BAD", "--out", "OUT", "--steps", "1"),
    "finetune": ("finetune", "--data", "BAD", "--model", "MODEL", "--out", "OUT", "--steps", "1"),
}


def _mask(path: Path, grid: Geometry = _GRID) -> Path:
    array = np.zeros(grid.shape_kji, np.uint8)
    array[1:3, 2:4, 2:5] = 1
    write_labels(LabelMap.of(array, grid), path)
    return path


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("command", COMMANDS)
def test_bad_input_is_refused(command: str, kind: str, run, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    places = {
        "BAD": BAD[kind](tmp_path / "bad"),
        "GOOD": _mask(tmp_path / "good.nii.gz"),
        "OUT": tmp_path / "out.nii.gz",
        "MODEL": threshold_model(tmp_path / "model").path,
        "PROJECT": tmp_path / "project",
    }
    if "PROJECT" in COMMANDS[command]:
        assert run("project", "create", places["PROJECT"]).code == 0
    before = _everything(tmp_path)
    done = run(*(places.get(word, word) for word in COMMANDS[command]))
    assert done.code == 2, done.err
    assert done.out == ""
    assert done.err.startswith("segdesk: ")
    assert done.err.count("\n") == 1
    assert _everything(tmp_path) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_with_json_the_refusal_is_an_object(command: str, run, tmp_path: Path) -> None:
    if command == "project add":
        assert run("project", "create", tmp_path / "p").code == 0
    places = {
        "BAD": _text(tmp_path),
        "GOOD": _mask(tmp_path / "good.nii.gz"),
        "OUT": tmp_path / "out.nii.gz",
        "MODEL": threshold_model(tmp_path / "model").path,
        "PROJECT": tmp_path / "p",
    }
    done = run(*(places.get(word, word) for word in COMMANDS[command]), "--json")
    assert done.code == 2
    assert set(done.json["error"]) == {"code", "message", "path"}


@pytest.mark.parametrize(
    "words",
    [("evaluate", "A", "B"), ("agree", "A", "B"), ("consensus", "A", "B", "--out", "OUT")],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("shape", [(4, 6, 9), (5, 6, 8)])
def test_a_mask_of_another_shape_is_refused(
    words: tuple[str, ...], shape: tuple[int, int, int], run, tmp_path: Path
) -> None:
    places = {
        "A": _mask(tmp_path / "a.nii.gz"),
        "B": _mask(tmp_path / "b.nii.gz", Geometry.from_spacing(shape, (2.0, 1.0, 1.0))),
        "OUT": tmp_path / "out.nii.gz",
    }
    done = run(*(places.get(word, word) for word in words))
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "mismatch" in done.err
    assert not places["OUT"].exists()


@pytest.mark.parametrize(
    "words",
    [
        ("predict", "SCAN", "OUT", "--model", "MODEL"),
        ("models", "verify", "MODEL"),
        ("demo", "--headless", "--model", "MODEL", "--dir", "OUT"),
    ],
    ids=lambda words: words[0],
)
def test_a_model_with_a_wrong_hash_is_refused(words: tuple[str, ...], run, tmp_path: Path) -> None:
    model = threshold_model(tmp_path / "model").path
    weights = bytearray((model / WEIGHTS_NAME).read_bytes())
    weights[-1] ^= 1
    (model / WEIGHTS_NAME).write_bytes(bytes(weights))
    places = {"SCAN": _mask(tmp_path / "scan.nii.gz"), "OUT": tmp_path / "out.nii.gz", "MODEL": model}
    done = run(*(places.get(word, word) for word in words))
    assert done.code == 2
    assert "[bad_model]" in done.err
    assert not places["OUT"].exists()


@pytest.mark.parametrize(
    "words",
    [
        ("convert", "A", "OUT"),
        ("predict", "A", "OUT", "--model", "MODEL", "--device", "cpu"),
        ("evaluate", "A", "A2", "--csv", "OUT"),
        ("evaluate", "A", "A2", "--report", "OUT"),
        ("consensus", "A", "A2", "--out", "OUT"),
    ],
    ids=" ".join,
)
def test_nothing_is_overwritten_without_being_asked(words: tuple[str, ...], run, tmp_path: Path) -> None:
    places = {
        "A": _mask(tmp_path / "a.nii.gz"),
        "A2": _mask(tmp_path / "a2.nii.gz"),
        "OUT": tmp_path / "out.nii.gz",
        "MODEL": threshold_model(tmp_path / "model").path,
    }
    places["OUT"].write_bytes(b"precious")
    filled = [places.get(word, word) for word in words]
    done = run(*filled)
    assert done.code == 2
    assert "[exists]" in done.err
    assert places["OUT"].read_bytes() == b"precious"
    assert run(*filled, "--overwrite").code == 0
    assert places["OUT"].read_bytes() != b"precious"


def test_fractions_are_no_mask(run, tmp_path: Path) -> None:
    shares = np.full(_GRID.shape_kji, 0.5, np.float32)
    write_volume(Volume(shares, _GRID), tmp_path / "p.nii.gz")
    done = run("evaluate", tmp_path / "p.nii.gz", _mask(tmp_path / "a.nii.gz"))
    assert done.code == 2
    assert "[invalid_mask]" in done.err


def _everything(folder: Path) -> dict[str, int]:
    """Return name and size of every file; a project copies its database when it is opened, which is no harm."""
    return {str(path): path.stat().st_size for path in sorted(folder.rglob("*")) if "backups" not in path.parts}
