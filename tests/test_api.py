"""The Python surface of CONTRACT."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import segdesk
from segdesk.errors import ModelError
from segdesk.zoo.spec import Channel
from tests.builders import ball, marker_volume, oblique_geometry
from tests.nn.toys import RAW, threshold_model


@pytest.fixture
def toy_model(tmp_path: Path) -> Path:
    return threshold_model(tmp_path / "toy").path


@pytest.fixture
def two_channel_model(tmp_path: Path) -> Path:
    channels = (Channel(name="t1", normalisation=RAW), Channel(name="flair", normalisation=RAW))
    return threshold_model(tmp_path / "toy2", channels=channels).path


def test_importing_segdesk_loads_nothing_heavy() -> None:
    code = (
        "import segdesk, sys;"
        "heavy = {'numpy', 'scipy', 'PySide6', 'torch', 'monai', 'SimpleITK', 'nibabel', 'sqlalchemy'};"
        "bad = heavy & set(sys.modules); sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", segdesk.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(segdesk, name).__name__ == name
    assert name in dir(segdesk)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = segdesk.nonsense  # type: ignore[attr-defined]


def test_a_volume_survives_the_round_trip(tmp_path: Path) -> None:
    volume = marker_volume(oblique_geometry())
    segdesk.write_volume(volume, tmp_path / "v.nii.gz")
    back = segdesk.read_volume(tmp_path / "v.nii.gz")
    np.testing.assert_array_equal(back.array, volume.array)
    assert back.geometry.matches(volume.geometry)
    np.testing.assert_allclose(back.geometry.spacing_kji_mm, volume.geometry.spacing_kji_mm, rtol=1e-5)


def test_labels_survive_the_round_trip(tmp_path: Path) -> None:
    labels = ball()
    segdesk.write_labels(labels, tmp_path / "m.nii.gz")
    back = segdesk.read_labels(tmp_path / "m.nii.gz")
    np.testing.assert_array_equal(back.array, labels.array)
    assert back.table == labels.table


def test_a_mask_scored_against_itself_is_perfect() -> None:
    scores = segdesk.evaluate(ball(), ball()).to_json()
    assert scores["labels"]["1"]["dice"] == 1.0
    assert scores["mean"]["n"] == 1


def test_two_of_three_make_the_majority() -> None:
    empty = ball(value=1)
    empty.layers[0][...] = 0
    result = segdesk.consensus([ball(), ball(), empty], method="majority")
    np.testing.assert_array_equal(result.labels.array, ball().array)
    assert len(result.raters) == 3


def test_predict_gives_labels_on_the_grid_of_the_image(toy_model: Path) -> None:
    volume = marker_volume(oblique_geometry((9, 12, 14)))
    prediction = segdesk.predict(volume, model=toy_model, device="cpu", probabilities=True)
    assert prediction.labels.geometry.matches(volume.geometry)
    assert prediction.manifest["device"] == "cpu"
    np.testing.assert_allclose(prediction.probabilities.sum(axis=0), 1.0, atol=1e-5)


def test_predict_tells_where_it_is_unsure(toy_model: Path) -> None:
    volume = marker_volume(oblique_geometry((9, 12, 14)))
    assert segdesk.predict(volume, toy_model, "cpu", uncertainty="entropy").uncertainty.shape == volume.array.shape
    with pytest.raises(segdesk.errors.UsageError, match="entropy or flips"):
        segdesk.predict(volume, toy_model, "cpu", uncertainty="doubt")


def test_predict_runs_in_the_precision_asked_for(toy_model: Path) -> None:
    volume = marker_volume(oblique_geometry((9, 12, 14)))
    assert segdesk.predict(volume, toy_model, "cpu", precision="bf16").manifest["engine"] == "torch-bf16"
    with pytest.raises(segdesk.errors.UsageError, match="onnxruntime or openvino"):
        segdesk.predict(volume, toy_model, "cpu", engine="tensorrt")


def test_predict_takes_channels_by_name(toy_model: Path) -> None:
    volume = marker_volume(oblique_geometry((9, 12, 14)))
    one = segdesk.predict(volume, toy_model, "cpu").labels.array
    other = segdesk.predict({"image": volume}, toy_model, "cpu").labels.array
    np.testing.assert_array_equal(one, other)


def test_one_image_for_a_model_of_two_channels_is_refused(two_channel_model: Path) -> None:
    with pytest.raises(ModelError) as caught:
        segdesk.predict(marker_volume(oblique_geometry()), two_channel_model)
    assert caught.value.code == "wrong_channels"


def test_a_project_is_opened_by_folder(tmp_path: Path) -> None:
    segdesk.Project.create(tmp_path / "p", "P").close()
    project = segdesk.Project.open(tmp_path / "p")
    assert project.name == "P"
    project.close()
