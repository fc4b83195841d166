from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from segdesk.core.box import Box
from segdesk.core.geometry import Geometry
from segdesk.core.prediction import PredictOptions, Uncertainty
from segdesk.core.progress import silent
from segdesk.core.volume import Volume
from segdesk.errors import UsageError
from segdesk.nn.networks.registry import network_of
from segdesk.nn.predict import predict
from segdesk.nn.stitch import ClassSink, Engine, stitch
from segdesk.nn.uncertainty import EntropySink, SpreadSink, entropy
from segdesk.nn.window import WindowPlan
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.spec import NetworkSpec
from tests.nn.toys import save_model, threshold_model, toy_spec

CPU = torch.device("cpu")


def _network(classes: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv3d(1, classes, 3, padding=1).eval()


def _image(shape: tuple[int, int, int]) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(1, *shape)).astype(np.float32)


def test_entropy_equals_scipy_and_ends_at_0_and_1() -> None:
    logits = torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(1))
    expected = stats.entropy(logits.softmax(dim=0).numpy(), base=4, axis=0)
    np.testing.assert_allclose(entropy(logits).numpy(), expected, atol=1e-6)
    assert float(entropy(torch.zeros(3, 1))) == pytest.approx(1)
    assert float(entropy(torch.tensor([[1000.0], [0.0]]))) == 0


def test_the_map_is_the_entropy_of_the_stitched_answer_and_the_labels_stay() -> None:
    network, array = _network(), _image((9, 12, 10))
    plan = WindowPlan((9, 12, 10), (8, 8, 8), overlap=0.6)
    sink, alone = EntropySink(plan.shape, ClassSink(plan.shape)), ClassSink(plan.shape)
    stitch(Engine(network, 3, CPU, CPU), array, plan, sink, lambda done: None)
    stitch(Engine(network, 3, CPU, CPU), array, plan, alone, lambda done: None)
    with torch.inference_mode():
        whole = network(torch.from_numpy(array)[None])[0].softmax(dim=0).numpy()
    np.testing.assert_allclose(sink.uncertainty, stats.entropy(whole, base=3, axis=0), atol=1e-4)
    np.testing.assert_array_equal(sink.labels.classes, alone.classes)  # type: ignore[attr-defined]


@pytest.mark.parametrize("axes", [(2,), (1, 2), (0, 1, 2)])
def test_the_spread_is_the_variance_over_all_mirrored_copies(axes: tuple[int, ...]) -> None:
    network, array = _network(), _image((6, 8, 8))
    plan = WindowPlan((6, 8, 8), (6, 8, 8))
    sink = SpreadSink(plan.shape, ClassSink(plan.shape))
    stitch(Engine(network, 3, CPU, CPU, 1, axes, spread=True), array, plan, sink, lambda done: None)
    copies = []
    for count in range(len(axes) + 1):
        for chosen in itertools.combinations(axes, count):
            turned = [2 + axis for axis in chosen]
            with torch.inference_mode():
                copies.append(network(torch.from_numpy(array)[None].flip(turned)).flip(turned)[0].softmax(dim=0))
    expected = torch.stack(copies).var(dim=0, correction=0).sum(dim=0).numpy()
    np.testing.assert_allclose(sink.uncertainty, expected, atol=1e-5)


def _model(folder: Path, **changes: object) -> ModelFolder:
    spec = toy_spec(network=NetworkSpec(name="residual_unet", parameters={"widths": [2, 4]}), **changes)
    torch.manual_seed(2)
    return save_model(folder, spec, network_of(spec))


def _predict(model: ModelFolder, volume: Volume, **options: object):
    return predict({"image": volume}, model.path, PredictOptions("cpu", **options), silent)  # type: ignore[arg-type]


def test_the_map_lies_on_the_source_grid_and_is_0_outside_the_region(tmp_path: Path) -> None:
    grid = Geometry.from_spacing((12, 20, 18), (2.0, 1.0, 1.0))
    volume = Volume(_image(grid.shape_kji)[0], grid)
    model = _model(tmp_path / "m", spacing_kji_mm=(1.0, 1.0, 1.0))
    whole = _predict(model, volume, uncertainty=Uncertainty.ENTROPY)
    assert whole.uncertainty.shape == grid.shape_kji
    assert 0 < whole.uncertainty.min() <= whole.uncertainty.max() <= 1
    box = Box((2, 4, 4), (9, 15, 14))
    part = _predict(model, volume, uncertainty=Uncertainty.ENTROPY, roi=box)
    outside = np.ones(grid.shape_kji, bool)
    outside[box.slices] = False
    assert not part.uncertainty[outside].any()
    assert part.uncertainty[box.slices].min() > 0
    assert _predict(model, volume).uncertainty is None


def test_the_copies_follow_the_axes_of_the_training(tmp_path: Path) -> None:
    volume = Volume(_image((8, 16, 16))[0], Geometry.from_spacing((8, 16, 16)))
    every, one = _model(tmp_path / "a", flip_axes=("k", "j", "i")), _model(tmp_path / "b", flip_axes=("i",))
    options = {"flips": True, "uncertainty": Uncertainty.FLIPS}
    wide, narrow = _predict(every, volume, **options), _predict(one, volume, **options)
    assert not np.allclose(wide.uncertainty, narrow.uncertainty)
    assert narrow.uncertainty.max() > 0


@pytest.mark.parametrize(("flips", "axes"), [(False, ("i",)), (True, ()), (True, None)])
def test_disagreement_without_copies_is_refused(tmp_path: Path, flips: bool, axes: tuple[str, ...] | None) -> None:
    model = threshold_model(tmp_path / "m", flip_axes=axes)
    volume = Volume(_image((4, 8, 8))[0], Geometry.from_spacing((4, 8, 8)))
    with pytest.raises(UsageError, match="mirrored"):
        _predict(model, volume, flips=flips, uncertainty=Uncertainty.FLIPS)


@pytest.mark.parametrize(("axes", "words"), [(None, "does not say whether it was trained"), ((), "was not trained")])
def test_a_model_that_does_not_know_mirrored_images_is_not_mirrored(
    tmp_path: Path, axes: tuple[str, ...] | None, words: str
) -> None:
    volume = Volume(_image((8, 16, 16))[0], Geometry.from_spacing((8, 16, 16)))
    model = _model(tmp_path / "m", flip_axes=axes)
    plain, asked = _predict(model, volume, probabilities=True), _predict(model, volume, probabilities=True, flips=True)
    np.testing.assert_array_equal(plain.probabilities, asked.probabilities)
    assert any(words in note for note in asked.manifest["notes"])
    assert not any("mirrored" in note for note in plain.manifest["notes"])
