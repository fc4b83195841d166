from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from segdesk.nn.stitch import ClassSink, Engine, ProbabilitySink, stitch
from segdesk.nn.window import WindowPlan

CPU = torch.device("cpu")


def ignore(done: int) -> None:
    """Take no notice of progress."""


def plain_network(classes: int = 3, channels: int = 2) -> nn.Module:
    """Two padded convolutions without normalisation: a reach of two voxels, five wide."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(channels, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, classes, 3, padding=1)).eval()


def image(shape: tuple[int, int, int], channels: int = 2) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(channels, *shape)).astype(np.float32)


def run(network: nn.Module, array: np.ndarray, plan: WindowPlan, **engine: object) -> np.ndarray:
    sink = ProbabilitySink(3, plan.shape)
    stitch(Engine(network, 3, CPU, CPU, **engine), array, plan, sink, ignore)  # type: ignore[arg-type]
    return sink.probabilities


@pytest.mark.parametrize(
    ("shape", "window", "overlap"),
    [
        ((20, 33, 27), (12, 16, 16), 0.5),
        ((20, 33, 27), (12, 16, 16), 0.75),
        ((30, 24, 16), (12, 12, 16), 0.51),
        ((16, 16, 16), (16, 16, 16), 0.5),
        ((40, 15, 9), (12, 12, 9), 0.5),
    ],
)
def test_tiles_equal_the_whole_when_the_overlap_exceeds_the_receptive_field(
    shape: tuple[int, int, int], window: tuple[int, int, int], overlap: float
) -> None:
    network, array = plain_network(), image(shape)
    with torch.inference_mode():
        whole = network(torch.from_numpy(array)[None])[0].softmax(dim=0).numpy()
    tiled = run(network, array, WindowPlan(shape, window, overlap=overlap))
    assert np.abs(tiled - whole).max() < 1e-4


@pytest.mark.parametrize(("shape", "window"), [((24, 32, 40), (20, 20, 20)), ((8, 56, 24), (8, 20, 20))])
def test_tiles_of_a_network_that_pools_start_where_the_whole_is_pooled(
    shape: tuple[int, int, int], window: tuple[int, int, int]
) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv3d(2, 4, 3, padding=1), nn.ReLU(), nn.AvgPool3d(4), nn.Conv3d(4, 4, 1),
        nn.Upsample(scale_factor=4), nn.Conv3d(4, 3, 1),
    ).eval()  # fmt: skip
    array = image(shape)
    with torch.inference_mode():
        whole = network(torch.from_numpy(array)[None])[0].softmax(dim=0).numpy()
    plan = WindowPlan(shape, window, overlap=0.6, divisor=(4, 4, 4))
    assert np.abs(run(network, array, plan) - whole).max() < 1e-4


def test_an_overlap_smaller_than_the_receptive_field_shows_at_the_seams() -> None:
    network, array = plain_network(), image((20, 33, 27))
    with torch.inference_mode():
        whole = network(torch.from_numpy(array)[None])[0].softmax(dim=0).numpy()
    assert np.abs(run(network, array, WindowPlan((20, 33, 27), (10, 11, 9), overlap=0.0)) - whole).max() > 1e-3


@pytest.mark.parametrize("batch", [2, 3, 100])
def test_the_batch_size_does_not_change_the_answer(batch: int) -> None:
    network, array = plain_network(), image((20, 18, 17))
    plan = WindowPlan((20, 18, 17), (8, 8, 8))
    assert np.abs(run(network, array, plan, batch=batch) - run(network, array, plan)).max() < 1e-5


def test_windows_of_a_single_slice_are_stitched_slice_by_slice() -> None:
    torch.manual_seed(0)
    network = nn.Conv2d(2, 3, 3, padding=1).eval()
    array = image((5, 20, 22))
    sink = ProbabilitySink(3, (5, 20, 22))
    stitch(Engine(network, 2, CPU, CPU, batch=4), array, WindowPlan((5, 20, 22), (1, 12, 12)), sink, ignore)
    with torch.inference_mode():
        whole = network(torch.from_numpy(array).movedim(0, 1)).softmax(dim=1).movedim(0, 1).numpy()
    assert np.abs(sink.probabilities - whole).max() < 1e-4


def test_flips_average_over_every_mirrored_copy() -> None:
    network, array = plain_network(), image((8, 8, 8))
    windows = torch.from_numpy(array)[None]
    with torch.inference_mode():
        engine = Engine(network, 3, CPU, CPU, flip_axes=(0, 1, 2))
        answer = engine.logits(windows)
        mirrored = engine.logits(windows.flip((2, 4))).flip((2, 4))
        one = network(windows)
    assert torch.allclose(answer, mirrored, atol=1e-5)
    assert not torch.allclose(answer, one, atol=1e-3)


def test_classes_agree_with_probabilities() -> None:
    network, array = plain_network(), image((20, 18, 17))
    plan = WindowPlan((20, 18, 17), (8, 8, 8))
    classes = ClassSink(plan.shape)
    stitch(Engine(network, 3, CPU, CPU), array, plan, classes, ignore)
    assert np.array_equal(classes.classes, run(network, array, plan).argmax(axis=0))


def test_an_image_smaller_than_the_window_is_padded_with_zeros_around_it() -> None:
    network, array = plain_network(), image((3, 5, 8))
    padded = np.zeros((2, 8, 8, 8), np.float32)
    padded[:, 2:5, 1:6] = array
    with torch.inference_mode():
        whole = network(torch.from_numpy(padded)[None])[0].softmax(dim=0).numpy()
    tiled = run(network, array, WindowPlan((3, 5, 8), (8, 8, 8)))
    assert np.abs(tiled - whole[:, 2:5, 1:6]).max() < 1e-5


def test_step_hears_of_every_batch_and_may_stop_the_run() -> None:
    class Stop(Exception):
        pass

    seen: list[int] = []

    def step(done: int) -> None:
        seen.append(done)
        if done == 4:
            raise Stop

    network, plan = plain_network(), WindowPlan((20, 18, 17), (8, 8, 8))
    with pytest.raises(Stop):
        stitch(Engine(network, 3, CPU, CPU, batch=2), image((20, 18, 17)), plan, ClassSink(plan.shape), step)
    assert seen == [0, 2, 4]
