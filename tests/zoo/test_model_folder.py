from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save

from segdesk.errors import BadModelFolder
from segdesk.zoo import model_folder
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.weights_header import read_weights_header
from tests.zoo.folders import edit_spec, folder


class Bomb:
    """A pickle that would leave a trace when opened."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("executed",)


def header(table: object, body: bytes = b"") -> bytes:
    text = json.dumps(table).encode()
    return len(text).to_bytes(8, "little") + text + body


def zipped_pickle() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb()))
    return buffer.getvalue()


def entry(**changes: Any) -> dict[str, Any]:
    return {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}}


BAD_WEIGHTS: dict[str, bytes] = {
    "pickle": pickle.dumps(Bomb()) + b"x" * 50,
    "old pickle": pickle.dumps(Bomb(), protocol=2) + b"x" * 50,
    "torch zip": zipped_pickle(),
    "empty": b"",
    "seven bytes": b"\x01" * 7,
    "huge header length": (2**63).to_bytes(8, "little") + b"{}",
    "header past the end": (1000).to_bytes(8, "little") + b"{}",
    "header is no JSON": (4).to_bytes(8, "little") + b"{{{{",
    "header is a list": header([]),
    "header is not UTF-8": (4).to_bytes(8, "little") + b"\xff\xfe\x00\x01",
    "header nested deep": header({}).replace(b"{}", b"[" * 2).replace(b"\x02", b"\x02", 1),
    "NaN in the header": header(entry(shape=[float("nan")]), b"0" * 8),
    "two tensors of one name": (lambda row: len(row).to_bytes(8, "little") + row + b"0" * 16)(
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}'
    ),
    "unknown type": header(entry(dtype="OBJECT"), b"0" * 8),
    "negative shape": header(entry(shape=[-2]), b"0" * 8),
    "shape and bytes differ": header(entry(shape=[3]), b"0" * 8),
    "offsets outside": header(entry(data_offsets=[8, 16]), b"0" * 8),
    "overlap": header(entry() | {"b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}, b"0" * 12),
    "rest at the end": header(entry(), b"0" * 9),
    "truncated": header(entry(), b"0" * 7),
    "extra key in a row": header(entry(code="import os") | {"b": 3}, b"0" * 8),
}


@pytest.mark.parametrize("kind", BAD_WEIGHTS)
def test_weights_that_are_no_safetensors_are_refused_and_never_executed(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    good = folder(tmp_path / "toy")
    good.weights_path.write_bytes(BAD_WEIGHTS[kind])
    with pytest.raises(BadModelFolder) as caught:
        ModelFolder.load(good.path)
    assert "\n" not in caught.value.message
    assert caught.value.code == "bad_model"
    assert not Path("executed").exists()


def test_a_pickle_is_named_as_one(tmp_path: Path) -> None:
    good = folder(tmp_path / "toy")
    good.weights_path.write_bytes(BAD_WEIGHTS["pickle"])
    with pytest.raises(BadModelFolder, match="is a pickle"):
        ModelFolder.load(good.path)


Change = Callable[[dict[str, Any]], object]

BAD_SPECS: dict[str, Change] = {
    "extra key": lambda s: s.update(run="import os"),
    "extra key in the network": lambda s: s["network"].update(_target_="os.system"),
    "unknown network": lambda s: s["network"].update(name="os.system"),
    "code as a parameter": lambda s: s["network"]["parameters"].update(x="$import os"),
    "parameter is a table": lambda s: s["network"]["parameters"].update(x={"_target_": "os.system"}),
    "name leaves the folder": lambda s: s.update(name="../../etc"),
    "name hides": lambda s: s.update(name=".hidden"),
    "name is empty": lambda s: s.update(name=""),
    "title with a newline": lambda s: s.update(title="a\nb"),
    "NaN metric": lambda s: s["metrics"].update(dice=float("nan")),
    "infinite metric deep inside": lambda s: s["metrics"].update(a={"b": [1, float("inf")]}),
    "NaN spacing": lambda s: s.update(spacing_kji_mm=[1.0, float("nan"), 1.0]),
    "zero spacing": lambda s: s.update(spacing_kji_mm=[1.0, 0.0, 1.0]),
    "negative patch": lambda s: s.update(patch_kji=[8, -8, 8]),
    "giant patch": lambda s: s.update(patch_kji=[8, 8, 10**9]),
    "patch as text": lambda s: s.update(patch_kji=["8", "8", "8"]),
    "two labels of one value": lambda s: s.update(labels=s["labels"] * 2),
    "background as a label": lambda s: s["labels"][0].update(value=0),
    "no label": lambda s: s.update(labels=[]),
    "no channel": lambda s: s.update(channels=[]),
    "two channels of one name": lambda s: s.update(channels=s["channels"] * 2),
    "colour above 255": lambda s: s["labels"][0].update(colour_rgb=[0, 0, 256]),
    "hash too short": lambda s: s.update(weights_sha256="abc"),
    "four dimensions": lambda s: s.update(dimensions=4),
    "deep patch of a 2D model": lambda s: s.update(dimensions=2),
    "rule for an unknown label": lambda s: s.update(post_processing=[{"label": 9}]),
    "window without numbers": lambda s: s["channels"][0].update(normalisation={"kind": "window"}),
    "percentiles above 100": lambda s: s["channels"][0].update(
        normalisation={"kind": "percentiles", "low": 1, "high": 101}
    ),
    "window with no spread": lambda s: s["channels"][0].update(
        normalisation={"kind": "window", "low": 0, "high": 1, "mean": 0, "std": 0}
    ),
    "time without a zone": lambda s: s.update(created="2026-01-02T03:04:05"),
    "weights are missing": lambda s: s.pop("weights_sha256"),
    "newer format": lambda s: s.update(format_version=2),
}


@pytest.mark.parametrize("kind", BAD_SPECS)
def test_a_spec_that_says_too_much_or_nonsense_is_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    good = folder(tmp_path / "toy")
    edit_spec(good.path, BAD_SPECS[kind])
    with pytest.raises(BadModelFolder) as caught:
        ModelFolder.load(good.path)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    "text", [b"", b"not json", b"[]", b"3", b'{"a": 1, "a": 2}', b"[" * 100_000, b"\xff\xfe", b'{"x": 1e999}', b"null"]
)
def test_a_spec_that_is_no_table_is_refused(text: bytes, tmp_path: Path) -> None:
    good = folder(tmp_path / "toy")
    (good.path / "model.json").write_bytes(text)
    with pytest.raises(BadModelFolder):
        ModelFolder.load(good.path)


def test_a_newer_format_says_to_update(tmp_path: Path) -> None:
    good = folder(tmp_path / "toy")
    edit_spec(good.path, lambda s: s.update(format_version=2))
    with pytest.raises(BadModelFolder, match="update segdesk"):
        ModelFolder.load(good.path)


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors"])
def test_a_folder_without_its_parts_is_refused(name: str, tmp_path: Path) -> None:
    good = folder(tmp_path / "toy")
    (good.path / name).unlink()
    with pytest.raises(BadModelFolder, match=name):
        ModelFolder.load(good.path)


@pytest.mark.parametrize("name", ["weights.safetensors", "model.json", "innocent.txt"])
def test_links_out_of_the_folder_are_refused(name: str, tmp_path: Path) -> None:
    good = folder(tmp_path / "toy")
    outside = tmp_path / "outside"
    if (good.path / name).exists():
        (good.path / name).rename(outside)
    (good.path / name).symlink_to(outside)
    with pytest.raises(BadModelFolder, match="link"):
        ModelFolder.load(good.path)
    with pytest.raises(BadModelFolder):
        read_weights_header(good.path / name)


def test_a_folder_of_thousands_of_files_is_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_folder, "MAX_ENTRIES", 4)
    good = folder(tmp_path / "toy")
    for n in range(5):
        (good.path / f"{n}.txt").touch()
    with pytest.raises(BadModelFolder, match="More than 4"):
        ModelFolder.load(good.path)


def test_sizes_are_capped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = folder(tmp_path / "toy")
    monkeypatch.setattr(model_folder, "MAX_SPEC_BYTES", 10)
    with pytest.raises(BadModelFolder, match="larger"):
        ModelFolder.load(good.path)
    monkeypatch.undo()
    monkeypatch.setattr("segdesk.zoo.weights_header.MAX_WEIGHT_BYTES", 10)
    with pytest.raises(BadModelFolder, match="larger"):
        ModelFolder.load(good.path)


@pytest.mark.parametrize("path", ["nothing", "file"])
def test_what_is_no_folder_is_refused(path: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadModelFolder, match="no model folder"):
        ModelFolder.load(tmp_path / path)


def test_changed_weights_fail_the_verification(tmp_path: Path) -> None:
    good = folder(tmp_path / "toy")
    good.verify()
    content = bytearray(good.weights_path.read_bytes())
    content[-1] ^= 1
    good.weights_path.write_bytes(content)
    changed = ModelFolder.load(good.path)
    with pytest.raises(BadModelFolder, match="sha256"):
        changed.verify()


def test_the_header_agrees_with_the_safetensors_library(tmp_path: Path) -> None:
    arrays = {f"layer{n}.weight": np.zeros((n + 1, 3), np.float32) for n in range(9)} | {"scalar": np.float64(3)[None]}
    good = folder(tmp_path / "toy", save(arrays, {"note": "text"}))
    with safe_open(good.weights_path, "np") as reference:
        expected = {name: tuple(reference.get_slice(name).get_shape()) for name in reference.keys()}  # noqa: SIM118
    assert {tensor.name: tensor.shape for tensor in good.tensors} == expected
    assert good.parameter_count == sum(array.size for array in arrays.values())


@pytest.mark.parametrize("size", range(1, 24))
def test_a_header_of_any_length_is_read_also_when_it_begins_like_a_pickle(size: int, tmp_path: Path) -> None:
    names = {f"{'n' * 30}{n}": np.zeros(1, np.float32) for n in range(size)}
    assert len(folder(tmp_path / "toy", save(names)).tensors) == size


def test_the_spec_survives_the_file(tmp_path: Path) -> None:
    good = folder(tmp_path / "toy", metrics={"dice": {"1": 0.9, "2": None}}, orientation="RAS")
    assert ModelFolder.load(good.path).spec == good.spec
    assert good.card_path.read_text() == "# Card\n"
    assert good.spec.label_values == (0, 1)
    assert good.spec.reference.weights_sha256 == good.sha256


def test_what_a_model_has_seen_includes_its_ancestors(tmp_path: Path) -> None:
    cases = [{"image_sha256": f"{n}" * 64, "patient_key": f"p{n}"} for n in range(3)]
    ancestor = {"name": "base", "version": "1", "weights_sha256": "f" * 64, "cases": cases[2:]}
    record = {
        "dataset": "d", "licence": "l", "training_cases": cases[:1], "validation_cases": cases[1:2],
        "ancestors": [ancestor],
    }  # fmt: skip
    good = folder(tmp_path / "toy", training=record)
    assert good.spec.training is not None
    assert {case.patient_key for case in good.spec.training.seen} == {"p0", "p1", "p2"}
