"""`segdesk predict`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from segdesk.io import read_labels, read_volume
from segdesk.zoo.spec import Channel
from tests.nn.toys import RAW, threshold_model


def test_the_mask_lies_on_the_grid_of_the_scan(run, scan_file: Path, toy_model: Path, tmp_path: Path) -> None:
    done = run("predict", scan_file, tmp_path / "m.nii.gz", "--model", toy_model, "--device", "cpu", "--json")
    assert done.code == 0, done.err
    scan, mask = read_volume(scan_file), read_labels(tmp_path / "m.nii.gz")
    assert mask.geometry.matches(scan.geometry)
    np.testing.assert_array_equal(mask.array == 7, scan.array > 50)
    assert mask.table.name_of(7) == "bright"


def test_the_manifest_has_the_fields_of_the_contract(run, scan_file: Path, toy_model: Path, tmp_path: Path) -> None:
    manifest = run("predict", scan_file, tmp_path / "m.nii.gz", "--model", toy_model, "--device", "cpu", "--json").json
    fields = {
        "model", "model_sha256", "device", "engine", "seconds", "peak_memory_mib", "windows", "labels", "software",
        "geometry_sha256",
    }  # fmt: skip
    assert fields <= manifest.keys()
    assert {"load", "preprocess", "network", "postprocess", "total"} <= manifest["seconds"].keys()
    assert manifest["labels"]["7"]["volume_mm3"] > 0


def test_a_region_of_interest_limits_the_mask(run, scan_file: Path, toy_model: Path, tmp_path: Path) -> None:
    words = ["--model", toy_model, "--device", "cpu", "--roi", "0:4,0:20,0:17"]
    assert run("predict", scan_file, tmp_path / "m.nii.gz", *words).code == 0
    mask = read_labels(tmp_path / "m.nii.gz").array
    assert mask[:4].any()
    assert not mask[4:].any()


@pytest.mark.parametrize("roi", ["1:2", "a:b,0:1,0:1", "50:60,0:5,0:5"])
def test_a_region_that_is_none_is_refused(roi: str, run, scan_file: Path, toy_model: Path, tmp_path: Path) -> None:
    done = run("predict", scan_file, tmp_path / "m.nii.gz", "--model", toy_model, "--device", "cpu", "--roi", roi)
    assert done.code == 2
    assert not (tmp_path / "m.nii.gz").exists()


def test_probabilities_are_written_beside_the_mask(run, scan_file: Path, toy_model: Path, tmp_path: Path) -> None:
    words = ["--model", toy_model, "--device", "cpu", "--tta", "--probabilities", tmp_path / "p.nii.gz"]
    assert run("predict", scan_file, tmp_path / "m.nii.gz", *words).code == 0
    shares = read_volume(tmp_path / "p.nii.gz")
    assert shares.time_points == 2
    np.testing.assert_allclose(shares.array.sum(axis=0), 1.0, atol=1e-5)
    np.testing.assert_array_equal(shares.array[1] > 0.5, read_labels(tmp_path / "m.nii.gz").array == 7)


def test_a_2d_model_is_run_across_three_axes_where_it_knows_them(run, scan_file: Path, tmp_path: Path) -> None:
    flat = {"dimensions": 2, "patch_kji": (1, 8, 8)}
    three = threshold_model(tmp_path / "three", views=("k", "j", "i"), slice_context=0, **flat).path
    words = ["predict", scan_file, tmp_path / "m.nii.gz", "--device", "cpu", "--views", "three", "--json", "--model"]
    done = run(*words, three)
    assert done.code == 0, done.err
    assert done.json["parameters"]["views"] == "three"
    assert np.array_equal(read_labels(tmp_path / "m.nii.gz").array == 7, read_volume(scan_file).array > 50)
    assert "--views three" in run("models", "show", three).out
    refused = run(*words, threshold_model(tmp_path / "one", **flat).path, "--overwrite")
    assert (refused.code, refused.json["error"]["code"]) == (2, "usage")
    assert "one axis" in refused.json["error"]["message"]


def test_a_map_of_uncertainty_is_written_beside_the_mask(run, scan_file: Path, toy_model: Path, tmp_path: Path) -> None:
    words = ["predict", scan_file, tmp_path / "m.nii.gz", "--model", toy_model, "--device", "cpu"]
    assert run(*words, "--uncertainty", tmp_path / "u.nii.gz").code == 0
    unsure = read_volume(tmp_path / "u.nii.gz")
    assert unsure.geometry.matches(read_labels(tmp_path / "m.nii.gz").geometry)
    assert 0 <= unsure.array.min() < unsure.array.max() <= 1
    flips = ["--uncertainty", tmp_path / "f.nii.gz", "--uncertainty-kind", "flips", "--overwrite"]
    assert run(*words, *flips).code == 2
    assert run(*words, *flips, "--tta").code == 0
    # No voxel of this network sees another: its mirrored copies agree.
    assert read_volume(tmp_path / "f.nii.gz").array.max() == pytest.approx(0, abs=1e-6)


def _cases(folder: Path, scan_file: Path) -> Path:
    folder.mkdir()
    for name in ("one_0000.nii.gz", "two.nii.gz"):
        (folder / name).write_bytes(scan_file.read_bytes())
    (folder / "notes.txt").write_text("no image")
    return folder


def test_a_folder_of_cases_gives_a_mask_each(run, scan_file: Path, toy_model: Path, tmp_path: Path) -> None:
    source = _cases(tmp_path / "in", scan_file)
    done = run("predict", source, tmp_path / "out", "--model", toy_model, "--device", "cpu", "--json")
    assert done.code == 0, done.err
    assert [case["case"] for case in done.json["cases"]] == ["one", "two"]
    assert done.json["skipped"] == ["notes.txt"]
    assert {path.name for path in (tmp_path / "out").glob("*.nii.gz")} == {"one.nii.gz", "two.nii.gz"}


def test_a_second_run_goes_on_where_the_first_stopped(run, scan_file: Path, toy_model: Path, tmp_path: Path) -> None:
    source = _cases(tmp_path / "in", scan_file)
    words = ["predict", source, tmp_path / "out", "--model", toy_model, "--device", "cpu", "--json"]
    assert run(*words).code == 0
    kept = (tmp_path / "out" / "one.nii.gz").stat().st_mtime_ns
    (tmp_path / "out" / "two.nii.gz").unlink()
    done = run(*words)
    assert done.json["already_there"] == ["one"]
    assert [case["case"] for case in done.json["cases"]] == ["two"]
    assert (tmp_path / "out" / "one.nii.gz").stat().st_mtime_ns == kept


def test_a_folder_begun_with_other_options_is_not_mixed(run, scan_file: Path, toy_model: Path, tmp_path: Path) -> None:
    source = _cases(tmp_path / "in", scan_file)
    words = ["predict", source, tmp_path / "out", "--model", toy_model, "--device", "cpu"]
    assert run(*words).code == 0
    done = run(*words, "--tta")
    assert done.code == 2
    assert "[exists]" in done.err
    assert run(*words, "--tta", "--overwrite").code == 0


def test_a_bad_case_does_not_stop_the_others(run, scan_file: Path, toy_model: Path, tmp_path: Path) -> None:
    source = _cases(tmp_path / "in", scan_file)
    (source / "broken.nii.gz").write_bytes(scan_file.read_bytes()[:3000])
    done = run("predict", source, tmp_path / "out", "--model", toy_model, "--device", "cpu", "--json")
    assert done.code == 2
    assert [case["case"] for case in done.json["failed"]] == ["broken"]
    assert len(done.json["cases"]) == 2
    assert not (tmp_path / "out" / "broken.nii.gz").exists()
    assert json.loads((tmp_path / "out" / "segdesk-predict.json").read_text())["tta"] is False


@pytest.fixture
def two_channels(tmp_path: Path) -> Path:
    channels = (Channel(name="t1", normalisation=RAW), Channel(name="flair", normalisation=RAW))
    return threshold_model(tmp_path / "models" / "two", channels=channels).path


def test_channels_are_named_on_the_command_line(run, scan_file: Path, two_channels: Path, tmp_path: Path) -> None:
    words = ["predict", scan_file, tmp_path / "m.nii.gz", "--model", two_channels, "--device", "cpu"]
    assert run(*words, "--channel", f"flair={scan_file}").code == 0
    done = run(*words[:2], tmp_path / "n.nii.gz", *words[3:], "--json")
    assert done.code == 2
    assert done.json["error"]["code"] == "wrong_channels"


@pytest.mark.parametrize("word", ["flair", "t2=x.nii.gz", "flair="])
def test_a_channel_that_does_not_fit_is_refused(
    word: str, run, scan_file: Path, two_channels: Path, tmp_path: Path
) -> None:
    done = run("predict", scan_file, tmp_path / "m.nii.gz", "--model", two_channels, "--channel", word)
    assert done.code == 2
    assert not (tmp_path / "m.nii.gz").exists()


def test_cases_of_two_channels_are_grouped_by_number_or_folder(
    run, scan_file: Path, two_channels: Path, tmp_path: Path
) -> None:
    source = tmp_path / "in"
    (source / "b").mkdir(parents=True)
    for name in ("a_0000.nii.gz", "a_0001.nii.gz", "b/x_t1.nii.gz", "b/x_flair.nii.gz"):
        (source / name).write_bytes(scan_file.read_bytes())
    done = run("predict", source, tmp_path / "out", "--model", two_channels, "--device", "cpu", "--json")
    assert done.code == 0, done.err
    assert [case["case"] for case in done.json["cases"]] == ["a", "b"]


def test_a_case_without_a_channel_is_refused(run, scan_file: Path, two_channels: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "a_0000.nii.gz").write_bytes(scan_file.read_bytes())
    done = run("predict", source, tmp_path / "out", "--model", two_channels)
    assert done.code == 2
    assert "flair" in done.err
    assert not (tmp_path / "out").exists()


def test_a_dicom_series_is_drafted_on_its_own_grid(run, shared_data: Path, toy_model: Path, tmp_path: Path) -> None:
    folder = shared_data / "dicom-brain-tumor-progression" / "PGBM-003" / "11_HCropVolume"
    done = run("predict", folder, tmp_path / "m.nii.gz", "--model", toy_model, "--device", "cpu")
    assert done.code == 0, done.err
    assert read_labels(tmp_path / "m.nii.gz").geometry.matches(read_volume(folder).geometry)


def test_engine_and_precision_are_what_was_asked_for(run, scan_file: Path, toy_model: Path, tmp_path: Path) -> None:
    words = ["--model", toy_model, "--device", "cpu", "--json"]
    half = run("predict", scan_file, tmp_path / "half.nii.gz", *words, "--precision", "bf16")
    assert half.json["engine"] == "torch-bf16"
    other = run("predict", scan_file, tmp_path / "other.nii.gz", *words, "--engine", "onnxruntime")
    assert other.json["engine"] == "onnxruntime-fp32"
    mask, scan = read_labels(tmp_path / "other.nii.gz").array, read_volume(scan_file).array
    np.testing.assert_array_equal(mask == 7, scan > 50)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--engine", "onnxruntime", "--precision", "bf16"], "ONNX Runtime computes in fp32"),
        (["--engine", "openvino", "--device", "cuda"], "runs on the CPU"),
        (["--engine", "tensorrt"], "tensorrt"),
    ],
)
def test_engines_that_do_not_go_together_with_the_rest_are_refused(
    words: list[str], message: str, run, scan_file: Path, toy_model: Path, tmp_path: Path
) -> None:
    done = run("predict", scan_file, tmp_path / "m.nii.gz", "--model", toy_model, *words)
    assert done.code == 2
    assert message in done.err
    assert not (tmp_path / "m.nii.gz").exists()
