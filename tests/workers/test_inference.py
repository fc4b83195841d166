from __future__ import annotations

import errno
import gc
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save

from segdesk.core.prediction import PredictOptions
from segdesk.core.progress import Cancelled, silent
from segdesk.core.volume import Volume
from segdesk.errors import BadModelFolder, OutOfMemory, UsageError, WorkerError
from segdesk.workers import inference, shared_array
from segdesk.workers.child_process import ChildProcess
from segdesk.workers.inference import InferenceWorker
from segdesk.workers.process_identity import ProcessIdentity
from segdesk.workers.shared_array import OwnedBlocks
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.spec import Channel, LabelSpec, ModelSpec, NetworkSpec
from segdesk.zoo.writer import write_model_folder
from tests.builders import oblique_geometry

FAKE = Path(__file__).with_name("fake_serve.py")
OPTIONS = PredictOptions(device="cpu")

MakeWorker = Callable[[str], InferenceWorker]


@pytest.fixture
def model(tmp_path: Path) -> ModelFolder:
    spec = ModelSpec(
        name="toy", title="Toy", dimensions=3, patch_kji=(4, 8, 8), weights_sha256="0" * 64,
        network=NetworkSpec(name="residual_unet"), channels=(Channel(name="image"),),
        labels=(LabelSpec(value=7, name="bright", colour_rgb=(1, 2, 3)),),
    )  # fmt: skip
    return write_model_folder(tmp_path / "toy", spec, save({"a": np.zeros(3, np.float32)}), "")


@pytest.fixture
def make_worker(tmp_path: Path) -> Iterator[MakeWorker]:
    workers: list[InferenceWorker] = []

    def make(mode: str) -> InferenceWorker:
        workers.append(InferenceWorker(tmp_path / "logs", (sys.executable, str(FAKE), mode)))
        return workers[-1]

    yield make
    for worker in workers:
        worker.close()


@pytest.fixture
def image() -> Volume:
    geometry = oblique_geometry((5, 9, 8))
    array = np.random.default_rng(0).uniform(0, 100, geometry.shape_kji).astype(np.float32)
    return Volume(array, geometry)


@pytest.fixture(autouse=True)
def shared_memory_is_left_clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every block of the test is gone after it, whatever happened to the child; other processes have their own."""
    made: list[str] = []

    def make(*arguments: Any, **options: Any) -> SharedMemory:
        block = SharedMemory(*arguments, **options)
        made.append(block.name)
        return block

    monkeypatch.setattr(shared_array, "SharedMemory", make)
    yield
    assert not [name for name in made if Path("/dev/shm", name).exists()]


def stop_at(done: int) -> Callable[..., None]:
    def report(now: int, total: int, text: str = "") -> None:
        if now == done:
            raise Cancelled

    return report


def test_labels_come_back_on_the_callers_grid(make_worker: MakeWorker, model: ModelFolder, image: Volume) -> None:
    prediction = make_worker("answer")({"image": image}, model.path, OPTIONS, silent)
    assert prediction.labels.geometry is image.geometry
    assert np.array_equal(prediction.labels.array == 7, image.array > 50)
    assert prediction.labels.table.name_of(7) == "bright"
    assert prediction.labels.origin.author == "toy@1"


@pytest.mark.parametrize(
    "change",
    [
        lambda array: array.astype(">i2"),
        lambda array: np.asfortranarray(array),
        lambda array: array[:, ::-1, :],
        lambda array: array > 50,
        lambda array: array.astype(np.float64),
    ],
)
def test_voxels_of_any_type_and_order_arrive_unchanged(
    change: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    make_worker: MakeWorker,
    model: ModelFolder,
    image: Volume,
) -> None:
    array = change(image.array)
    labels = make_worker("answer")({"x": Volume(array, image.geometry)}, model.path, OPTIONS, silent).labels
    assert np.array_equal(labels.array == 7, array > 50)


def test_the_child_stays_warm(make_worker: MakeWorker, model: ModelFolder, image: Volume) -> None:
    worker = make_worker("answer")
    worker.warm_up()
    pid = worker.pid
    pids = {worker({"x": image}, model.path, OPTIONS, silent).manifest["pid"] for _ in range(3)}
    assert pids == {pid}


def test_without_room_in_shared_memory_a_file_is_used(
    make_worker: MakeWorker, model: ModelFolder, image: Volume, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    full = tmp_path / "shm"
    full.mkdir()
    monkeypatch.setattr("segdesk.workers.shared_array._SHARED_FOLDER", full)
    monkeypatch.setattr("segdesk.workers.shared_array._has_room", lambda folder, size: folder != full)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    labels = make_worker("answer")({"x": image}, model.path, OPTIONS, silent).labels
    assert np.array_equal(labels.array == 7, image.array > 50)
    assert not list(tmp_path.glob("segdesk-*"))


def test_no_room_at_all_is_one_clear_error(
    make_worker: MakeWorker, model: ModelFolder, image: Volume, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("segdesk.workers.shared_array._has_room", lambda folder, size: False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(WorkerError, match="no room"):
        make_worker("answer")({"x": image}, model.path, OPTIONS, silent)
    assert not list(tmp_path.glob("segdesk-*"))


def test_a_killed_child_is_reported_with_its_log_and_the_next_call_works(
    make_worker: MakeWorker, model: ModelFolder, image: Volume, tmp_path: Path
) -> None:
    worker = make_worker("die")
    with pytest.raises(WorkerError, match="signal 9") as caught:
        worker({"x": image}, model.path, OPTIONS, silent)
    assert Path(str(caught.value.path)).parent == tmp_path / "logs"
    worker._command = (sys.executable, str(FAKE), "answer")
    assert worker({"x": image}, model.path, OPTIONS, silent).labels.values() == (7,)


@pytest.mark.parametrize("mode", ["exit", "babble"])
def test_a_child_that_cannot_start_or_babbles_is_a_worker_error(
    mode: str, make_worker: MakeWorker, model: ModelFolder, image: Volume
) -> None:
    with pytest.raises(WorkerError, match="Its log"):
        make_worker(mode)({"x": image}, model.path, OPTIONS, silent)


def test_a_program_that_does_not_exist_is_a_worker_error(model: ModelFolder, image: Volume, tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="could not be started"):
        InferenceWorker(tmp_path / "logs", (str(tmp_path / "nothing"),))({"x": image}, model.path, OPTIONS, silent)


def test_a_log_folder_that_cannot_be_made_is_a_worker_error(model: ModelFolder, image: Volume, tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    with pytest.raises(WorkerError, match="could not be started"):
        InferenceWorker(tmp_path / "logs")({"x": image}, model.path, OPTIONS, silent)


@pytest.mark.parametrize("mode", ["stop", "mute"])
def test_a_hung_child_is_ended_and_the_next_call_works(
    mode: str, make_worker: MakeWorker, model: ModelFolder, image: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "HUNG_S", 0.5)
    worker = make_worker(mode)
    with pytest.raises(WorkerError, match="does not answer"):
        worker({"x": image}, model.path, OPTIONS, silent)
    assert worker.pid is None
    monkeypatch.setattr(inference, "HUNG_S", 30.0)
    worker._command = (sys.executable, str(FAKE), "answer")
    assert worker({"x": image}, model.path, OPTIONS, silent).labels.values() == (7,)


def test_a_child_that_fell_silent_between_calls_is_replaced_without_a_word(
    make_worker: MakeWorker, model: ModelFolder, image: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = make_worker("answer")
    first = worker({"x": image}, model.path, OPTIONS, silent).manifest["pid"]
    monkeypatch.setattr(inference, "HUNG_S", 0.0)
    worker.warm_up()
    monkeypatch.setattr(inference, "HUNG_S", 30.0)
    assert worker({"x": image}, model.path, OPTIONS, silent).manifest["pid"] != first


def test_cancelling_keeps_a_child_that_stops(make_worker: MakeWorker, model: ModelFolder, image: Volume) -> None:
    worker = make_worker("polite")
    with pytest.raises(Cancelled):
        worker({"x": image}, model.path, OPTIONS, stop_at(1))
    pid = worker.pid
    assert pid is not None
    with pytest.raises(Cancelled):
        worker({"x": image}, model.path, OPTIONS, stop_at(1))
    assert worker.pid == pid


def test_cancelling_ends_a_child_that_does_not_stop(
    make_worker: MakeWorker, model: ModelFolder, image: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "CANCEL_LIMIT_S", 0.2)
    worker = make_worker("stubborn")
    with pytest.raises(Cancelled):
        worker({"x": image}, model.path, OPTIONS, stop_at(1))
    assert worker.pid is None


def test_cancelling_while_the_child_starts_leaves_it_to_the_next_call(
    make_worker: MakeWorker, model: ModelFolder, image: Volume
) -> None:
    worker = make_worker("answer")
    with pytest.raises(Cancelled):
        worker({"x": image}, model.path, OPTIONS, stop_at(0))
    assert worker({"x": image}, model.path, OPTIONS, silent).labels.values() == (7,)


def test_errors_of_the_child_keep_their_class_and_code(
    make_worker: MakeWorker, model: ModelFolder, image: Volume
) -> None:
    with pytest.raises(OutOfMemory, match="too large") as caught:
        make_worker("error")({"x": image}, model.path, OPTIONS, silent)
    assert caught.value.code == "out_of_memory"


def test_an_error_of_no_known_class_is_a_worker_error(
    make_worker: MakeWorker, model: ModelFolder, image: Volume
) -> None:
    with pytest.raises(WorkerError):
        make_worker("odd")({"x": image}, model.path, OPTIONS, silent)


def test_a_damaged_model_and_no_image_are_refused_before_a_child_is_started(
    make_worker: MakeWorker, model: ModelFolder, image: Volume, tmp_path: Path
) -> None:
    worker = make_worker("answer")
    with pytest.raises(BadModelFolder):
        worker({"x": image}, tmp_path / "nothing", OPTIONS, silent)
    with pytest.raises(UsageError):
        worker({}, model.path, OPTIONS, silent)
    assert worker.pid is None


def test_a_forgotten_worker_takes_its_child_along(make_worker: MakeWorker, tmp_path: Path) -> None:
    worker = InferenceWorker(tmp_path / "logs", (sys.executable, str(FAKE), "answer"))
    worker.warm_up()
    assert worker.pid is not None
    child = ProcessIdentity.of(worker.pid)
    assert child.is_alive
    del worker
    gc.collect()
    assert not child.is_alive


def test_old_logs_are_removed(make_worker: MakeWorker, tmp_path: Path) -> None:
    worker = make_worker("answer")
    for _ in range(13):
        worker.warm_up()
        worker.close()
    assert len(list((tmp_path / "logs").glob("inference-*.log"))) == 10


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from segdesk.workers.inference import InferenceWorker\n"
        f"w = InferenceWorker(Path({str(tmp_path)!r}), (sys.executable, {str(FAKE)!r}, 'answer')); w.warm_up()\n"
        "print(w.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = ProcessIdentity.of(int(parent.stdout.readline()))
        assert child.started
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    _wait_until_ended(child)


def _wait_until_ended(child: ProcessIdentity) -> None:
    """Wait for the kernel to report the end of a process that is not our child."""
    handle = os.pidfd_open(child.pid) if child.is_alive else None
    if handle is not None:
        assert select.select([handle], [], [], 10)[0]
        os.close(handle)


def test_shared_memory_that_fills_up_meanwhile_gives_way_to_a_file(
    make_worker: MakeWorker, model: ModelFolder, image: Volume, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def allocate(handle: int, offset: int, size: int) -> None:
        if os.readlink(f"/proc/self/fd/{handle}").startswith("/dev/shm/"):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", allocate)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    labels = make_worker("answer")({"x": image}, model.path, OPTIONS, silent).labels
    assert np.array_equal(labels.array == 7, image.array > 50)
    assert not list(tmp_path.glob("segdesk-*"))


@pytest.mark.parametrize(("number", "works"), [(errno.EOPNOTSUPP, True), (errno.ENOSPC, False)])
def test_a_file_system_that_cannot_promise_space_is_used_a_full_one_is_not(
    number: int, works: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def allocate(handle: int, offset: int, size: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", allocate)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("segdesk.workers.shared_array._SHARED_FOLDER", tmp_path / "nothing")
    monkeypatch.setattr("segdesk.workers.shared_array.OwnedBlocks._new_memory", lambda self, size: None)
    with OwnedBlocks() as blocks, nullcontext() if works else pytest.raises(WorkerError, match="no room"):
        ref = blocks.share(np.arange(5))
        assert blocks.take(ref).tolist() == [0, 1, 2, 3, 4]
    assert not list(tmp_path.iterdir())


def test_warming_up_never_waits_for_a_prediction(make_worker: MakeWorker, model: ModelFolder, image: Volume) -> None:
    worker = make_worker("answer")

    def report(done: int, total: int, text: str = "") -> None:
        worker.warm_up()

    worker({"x": image}, model.path, OPTIONS, report)


def test_beats_of_an_idle_child_do_not_pile_up(tmp_path: Path) -> None:
    child = ChildProcess("inference", tmp_path, (sys.executable, "-c", CHATTY))
    try:
        events = [message["event"] for _ in range(2) if (message := child.receive(30)) is not None]
    finally:
        child.end()
    assert events == ["ready", "progress"]


CHATTY = r"""
import sys
beats = '{"event": "beat"}\n' * 1000
print(beats + '{"event": "ready"}\n' + beats + '{"event": "progress"}', flush=True)
sys.stdin.read()
"""
