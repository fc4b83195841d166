from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from segdesk.core.box import Box
from segdesk.core.explanation import ExplainMethod, ExplainOptions
from segdesk.core.inside import InsideOptions
from segdesk.core.prediction import PredictOptions, Uncertainty
from segdesk.core.progress import Cancelled, Progress, silent
from segdesk.core.volume import Volume
from segdesk.errors import ModelError, UsageError
from segdesk.nn import serve
from segdesk.nn.explain import explain
from segdesk.nn.inside import look_inside
from segdesk.nn.predict import predict
from segdesk.workers.inference import InferenceWorker
from segdesk.workers.messages import Message
from segdesk.workers.parent_line import ParentLine
from segdesk.workers.shared_array import BorrowedBlocks
from tests.builders import oblique_geometry
from tests.nn.toys import classic_model, threshold_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InferenceWorker]:
    """The real child, warm for all tests of this file."""
    made = InferenceWorker(tmp_path_factory.mktemp("logs"))
    yield made
    made.close()


@pytest.fixture
def image() -> Volume:
    geometry = oblique_geometry((6, 20, 17))
    array = np.random.default_rng(0).uniform(0, 100, geometry.shape_kji).astype(np.float32)
    return Volume(array, geometry)


def test_the_child_answers_as_the_function_does(worker: InferenceWorker, image: Volume, tmp_path: Path) -> None:
    model = classic_model(tmp_path / "m")
    options = PredictOptions(
        "cpu", roi=Box((1, 2, 3), (5, 18, 16)), probabilities=True, uncertainty=Uncertainty.ENTROPY
    )
    there = worker({"image": image}, model.path, options, silent)
    here = predict({"image": image}, model.path, options, silent)
    assert np.array_equal(there.labels.array, here.labels.array)
    assert np.abs(there.probabilities - here.probabilities).max() < 1e-5
    assert np.abs(there.uncertainty - here.uncertainty).max() < 1e-5
    assert there.labels.origin.parameters == here.labels.origin.parameters
    assert there.labels.origin.weights_sha256 == model.sha256
    assert set(there.manifest) == set(here.manifest)


@pytest.mark.parametrize("method", list(ExplainMethod))
def test_the_child_explains_as_the_function_does(
    worker: InferenceWorker, image: Volume, tmp_path: Path, method: ExplainMethod
) -> None:
    model = threshold_model(tmp_path / "m")
    options = ExplainOptions(7, method, "cpu", Box((1, 2, 3), (5, 18, 16)))
    there = worker.explain({"image": image}, model.path, options, silent)
    here = explain({"image": image}, model.path, options, silent)
    np.testing.assert_allclose(there.heat, here.heat, atol=1e-5)
    assert there.heat.any()
    assert there.geometry is image.geometry
    assert there.manifest["voxels_explained"] == here.manifest["voxels_explained"]


def test_the_child_shows_the_inside_as_the_function_does(
    worker: InferenceWorker, image: Volume, tmp_path: Path
) -> None:
    model = classic_model(tmp_path / "m")
    options = InsideOptions((3, 9, 8), device="cpu")
    there = worker.look_inside({"image": image}, model.path, options, silent)
    here = look_inside({"image": image}, model.path, options, silent)
    for name in ("filters", "image", "maps"):
        np.testing.assert_allclose(getattr(there, name), getattr(here, name), atol=1e-5)
    assert (there.axis, there.layer, there.layers) == (here.axis, here.layer, here.layers)
    with pytest.raises(UsageError, match="no layer"):
        worker.look_inside({"image": image}, model.path, InsideOptions((3, 9, 8), layer="x", device="cpu"), silent)


def test_the_child_counts_the_windows_a_prediction_runs(worker: InferenceWorker, image: Volume, tmp_path: Path) -> None:
    model = threshold_model(tmp_path / "m")
    options = PredictOptions("cpu", roi=Box((1, 2, 3), (5, 18, 16)))
    counted = worker.cost({"image": image}, model.path, options, silent, calibrate=False)
    timed = worker.cost({"image": image}, model.path, options, silent, calibrate=True)
    ran = worker({"image": image}, model.path, options, silent).manifest
    assert counted.windows == timed.windows == ran["windows"]
    assert counted.seconds_per_window is None
    assert timed.seconds_per_window is not None
    assert timed.seconds_per_window > 0
    assert timed.device == ran["device"]


def test_refusals_of_the_child_arrive_as_they_were_raised(
    worker: InferenceWorker, image: Volume, tmp_path: Path
) -> None:
    model = threshold_model(tmp_path / "m")
    with pytest.raises(ModelError) as caught:
        worker({"image": image}, model.path, PredictOptions("cuda:77"), silent)
    assert caught.value.code == "device_unavailable"
    assert worker({"image": image}, model.path, PredictOptions("cpu"), silent).labels.values() == (7,)


def test_cancelling_between_windows_keeps_the_child_warm(
    worker: InferenceWorker, image: Volume, tmp_path: Path
) -> None:
    model = threshold_model(tmp_path / "m", patch_kji=(1, 2, 2))
    worker({"image": image}, threshold_model(tmp_path / "n").path, PredictOptions("cpu"), silent)
    pid, texts = worker.pid, []

    def report(done: int, total: int, text: str = "") -> None:
        texts.append(text)
        if done > 0:
            raise Cancelled

    with pytest.raises(Cancelled):
        worker({"image": image}, model.path, PredictOptions("cpu", overlap=0.9), report)
    assert texts[-1].startswith("Window ")
    assert worker.pid == pid


def test_the_windows_process_never_imports_torch(image: Volume, tmp_path: Path) -> None:
    model = threshold_model(tmp_path / "m")
    code = f"""
import sys
from pathlib import Path
import numpy as np
from segdesk.core.geometry import Geometry
from segdesk.core.prediction import PredictOptions, Uncertainty
from segdesk.core.progress import silent
from segdesk.core.volume import Volume
from segdesk.workers.inference import InferenceWorker
volume = Volume(np.full((4, 9, 8), 99.0), Geometry.from_spacing((4, 9, 8)))
worker = InferenceWorker(Path({str(tmp_path)!r}))
labels = worker({{"image": volume}}, Path({str(model.path)!r}), PredictOptions("cpu"), silent).labels
worker.close()
print(labels.values(), sorted({{"torch", "monai", "PySide6"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(7,) []"
    assert done.stderr == ""


def test_the_child_ends_quietly_when_its_input_is_closed_and_keeps_its_output_clean(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error::ResourceWarning", "-m", "segdesk.nn.serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for line in child.stdout:
            if json.loads(line)["event"] == "ready":
                break
        child.stdin.close()
        rest = [json.loads(line)["event"] for line in child.stdout]
    assert set(rest) <= {"beat"}
    assert child.returncode == 0


def test_serving_does_not_load_monai() -> None:
    code = "import sys, segdesk.nn.predict; print('monai' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_memory_that_runs_out_is_told_and_does_not_end_the_child() -> None:
    def run(request: Message, blocks: BorrowedBlocks, report: Progress) -> Message:
        raise MemoryError

    answer = serve._answer({"id": 1}, ParentLine(io.StringIO(), io.StringIO()), run)
    assert answer["error"]["kind"] == "OutOfMemory"
    assert answer["error"]["code"] == "out_of_memory"
