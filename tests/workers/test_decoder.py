from __future__ import annotations

import math
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from segdesk.core.progress import Cancelled
from segdesk.errors import NeedsConsent, ReadError, UsageError, WorkerError
from segdesk.io import image_reader, limits
from segdesk.io import scan as routed_scan
from segdesk.io.reading import read_labels, read_volume
from segdesk.io.scan import scan
from segdesk.io.series import SeriesEntry
from segdesk.workers import decoder_exchange, decoder_limits, decoder_serve
from segdesk.workers.decoder import Decoder
from segdesk.workers.shared_array import ArrayRef, OwnedBlocks

BAD = (sys.executable, str(Path(__file__).with_name("bad_decoder.py")))


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Decoder]:
    made = Decoder(tmp_path_factory.mktemp("logs"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Decoder]:
    made = Decoder(tmp_path_factory.mktemp("logs"), BAD)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def made_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """No block made in a test keeps its name, whatever happened to a child."""
    names: list[str] = []
    make = OwnedBlocks._new_memory

    def noted(self: OwnedBlocks, size: int) -> str | None:
        name = make(self, size)
        names.append(name or "")
        return name

    monkeypatch.setattr(OwnedBlocks, "_new_memory", noted)
    yield names
    assert not any(Path("/dev/shm", name).exists() for name in names if name)


def picture(folder: Path, name: str) -> Path:
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).save(folder / name)
    return folder / name


def nifti(folder: Path, shape: tuple[int, int, int] = (4, 5, 6)) -> Path:
    array = np.random.default_rng(0).integers(0, 5, shape).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([1.0, 2.0, 3.0, 1.0])), folder / "a.nii")
    return folder / "a.nii"


def same_entry(one: SeriesEntry, other: SeriesEntry) -> bool:
    return one.to_json() == other.to_json() and one.paths == other.paths and one.geometry.matches(other.geometry)


def test_a_scan_and_its_entries_are_those_of_this_process(decoder: Decoder, tmp_path: Path) -> None:
    picture(tmp_path, "b.png")
    nifti(tmp_path)
    (tmp_path / "notes.txt").write_text("no image at all, nothing to read here")
    (tmp_path / "ct.dcm").write_bytes(Path(get_testdata_file("CT_small.dcm")).read_bytes())
    there, here = decoder(scan, tmp_path), scan(tmp_path)
    assert (there.path, there.skipped, there.refused) == (here.path, here.skipped, here.refused)
    assert all(map(same_entry, there.series, here.series))
    for one, other in zip(there.series, here.series, strict=True):
        far, near = one.read(), other.read()
        np.testing.assert_array_equal(far.array, near.array)
        assert (far.array.dtype, far.unit, far.windows, far.warnings) == (
            near.array.dtype,
            near.unit,
            near.windows,
            near.warnings,
        )
        assert far.source_path == near.source_path


def test_a_slice_of_an_entry_is_that_of_this_process_also_in_a_new_child(decoder: Decoder, tmp_path: Path) -> None:
    path = nifti(tmp_path, (40, 50, 60))
    (there,), (here,) = decoder(scan, path).series, scan(path).series
    np.testing.assert_array_equal(there.read_slice(7).array, here.read_slice(7).array)
    decoder.close()
    np.testing.assert_array_equal(there.read_slice(31).array, here.read_slice(31).array)
    with pytest.raises(UsageError, match="no slice"):
        there.read_slice(60)


def test_large_voxels_come_in_memory_of_their_own(decoder: Decoder, tmp_path: Path) -> None:
    path = nifti(tmp_path, (40, 50, 60))
    volume = decoder(read_volume, path)
    np.testing.assert_array_equal(volume.array, read_volume(path).array)
    assert volume.array.flags.writeable
    assert volume.array.flags.c_contiguous
    volume.array[0, 0, 0] = 9
    assert decoder(read_volume, path).array[0, 0, 0] != 9


def test_without_room_in_memory_they_come_in_a_file(
    decoder: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segdesk.workers.shared_array.OwnedBlocks._new_memory", lambda self, size: None)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = nifti(tmp_path, (40, 50, 60))
    volume = decoder(read_volume, path)
    np.testing.assert_array_equal(volume.array, read_volume(path).array)
    assert [each.name for each in tmp_path.iterdir()] == ["a.nii"]


def test_a_mask_keeps_its_labels(decoder: Decoder, tmp_path: Path) -> None:
    path = nifti(tmp_path)
    there, here = decoder(read_labels, path), read_labels(path)
    np.testing.assert_array_equal(there.array, here.array)
    assert there.table == here.table
    assert there.geometry.matches(here.geometry)


def test_errors_are_those_of_this_process(decoder: Decoder, tmp_path: Path) -> None:
    path = nifti(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ReadError) as there:
        decoder(read_volume, path)
    with pytest.raises(ReadError) as here:
        read_volume(path)
    assert there.value.to_json() == here.value.to_json()


def test_consent_travels_with_the_request(decoder: Decoder, tmp_path: Path) -> None:
    path = nifti(tmp_path)
    with limits.use_policy(limits.SizePolicy(max_bytes=10)):
        with pytest.raises(NeedsConsent):
            decoder(read_volume, path)
        with limits.allow_large():
            assert decoder(read_volume, path).array.size == 120


@pytest.mark.parametrize(
    ("name", "code"), [("crash.png", "decoder_crashed"), ("full.png", "decoder_memory"), ("bug.png", "internal")]
)
def test_a_decoder_that_dies_or_fails_is_one_error_and_the_next_file_is_read(
    bad: Decoder, tmp_path: Path, name: str, code: str
) -> None:
    with pytest.raises(ReadError) as caught:
        bad(read_volume, picture(tmp_path, name))
    assert caught.value.code == code
    assert "Patient" not in caught.value.message
    assert bad(read_volume, picture(tmp_path, "good.png")).array.tolist() == np.arange(12).reshape(1, 3, 4).tolist()


def test_a_crash_names_the_file_and_the_signal(bad: Decoder, tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"^crash.png: the decoder crashed \(signal 11\); convert") as caught:
        bad(scan, picture(tmp_path, "crash.png"))
    assert caught.value.path == str(tmp_path / "crash.png")


def test_a_crash_in_a_folder_marks_its_file_and_the_others_are_read(bad: Decoder, tmp_path: Path) -> None:
    for name in ("a.png", "crash1.png", "m.png", "crash2.png", "z.png"):
        picture(tmp_path, name)
    found = bad(scan, tmp_path)
    assert [entry.uid for entry in found.series] == ["a.png", "m.png", "z.png"]
    assert [refusal.code for refusal in found.refused] == ["decoder_crashed"] * 2
    assert found.refused[0].message.startswith("crash1.png")


def test_a_folder_of_nothing_but_crashes_is_given_up(
    bad: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segdesk.workers.decoder.MAX_MARKED", 1)
    for number in range(3):
        picture(tmp_path, f"crash{number}.png")
    with pytest.raises(ReadError) as caught:
        bad(scan, tmp_path)
    assert caught.value.code == "decoder_crashed"


@pytest.mark.parametrize(
    ("name", "limit"), [("hang.png", "step_limit_s"), ("hold.png", "silence_limit_s"), ("hold.png", "step_limit_s")]
)
def test_a_hang_is_ended(bad: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, limit: str) -> None:
    monkeypatch.setattr(decoder_exchange, limit, lambda image_bytes: 0.6)
    with pytest.raises(ReadError) as caught:
        bad(read_volume, picture(tmp_path, name))
    assert caught.value.code == "decoder_hung"


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="this system does not tell the memory of a process")
def test_a_decoder_that_takes_too_much_memory_is_ended(
    bad: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder_exchange, "memory_limit_bytes", lambda image_bytes: 250 << 20)
    with pytest.raises(ReadError, match=r"250\.0 MiB") as caught:
        bad(read_volume, picture(tmp_path, "eat.png"))
    assert caught.value.code == "decoder_memory"


@pytest.mark.parametrize("name", ["hang.png", "hold.png"])
def test_cancelling_ends_even_a_decoder_that_does_not_listen(bad: Decoder, tmp_path: Path, name: str) -> None:
    bad(scan, picture(tmp_path, "good.png"))
    pid = bad.pids[0]
    reports = 0

    def report(done: int, total: int, text: str = "") -> None:
        nonlocal reports
        reports += 1
        if reports > 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        bad(read_volume, picture(tmp_path, name), report=report)
    assert pid not in bad.pids


def test_an_entry_outlives_the_child_that_found_it(bad: Decoder, tmp_path: Path) -> None:
    entry = bad(scan, picture(tmp_path, "good.png")).series[0]
    os.kill(bad.pids[0], signal.SIGKILL)
    assert entry.read().array.shape == (1, 3, 4)


def test_a_lack_of_room_for_the_image_is_told(
    decoder: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = nifti(tmp_path, (40, 50, 60))
    reserve = OwnedBlocks.reserve

    def full(self: OwnedBlocks, shape: Sequence[int], dtype: str) -> ArrayRef:
        if math.prod(shape) > decoder_limits.PLACE_BYTES:
            raise WorkerError("There is no room for an array of 1 MiB (full).")
        return reserve(self, shape, dtype)

    monkeypatch.setattr(OwnedBlocks, "reserve", full)
    with pytest.raises(ReadError, match="no room") as caught:
        decoder(read_volume, path)
    assert caught.value.code == "out_of_memory"


def test_an_entry_whose_file_changed_meanwhile_is_refused(bad: Decoder, tmp_path: Path) -> None:
    entry = bad(scan, picture(tmp_path, "good.png")).series[0]
    bad.close()
    Image.new("L", (9, 9)).save(tmp_path / "good.png")
    with pytest.raises(ReadError, match="changed since"):
        entry.read()


def test_two_files_are_read_at_once_and_a_third_waits(bad: Decoder, tmp_path: Path) -> None:
    """While two children hang, a third caller is told to wait, and may give up."""
    going = threading.Event()
    texts: list[str] = []

    def hanging(done: int, total: int, text: str = "") -> None:
        if going.is_set():
            raise Cancelled

    def waiting(done: int, total: int, text: str = "") -> None:
        texts.append(text)
        if "Waiting" in text:
            going.set()
            raise Cancelled

    def hang() -> None:
        with pytest.raises(Cancelled):
            bad(read_volume, picture(tmp_path, "hang.png"), report=hanging)

    threads = [threading.Thread(target=hang) for _ in range(2)]
    for thread in threads:
        thread.start()
    while len(bad.pids) < 2:
        threading.Event().wait(0.01)
    bad.warm_up()
    with pytest.raises(Cancelled):
        bad(scan, picture(tmp_path, "good.png"), report=waiting)
    for thread in threads:
        thread.join()
    assert texts[-1] == "Waiting for another file"


def test_a_child_that_does_not_start_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WorkerError, match="decoder process ended"):
        Decoder(tmp_path, (*BAD, "no such library"))(scan, tmp_path)
    assert "no such library" in next(tmp_path.glob("decoder-*.log")).read_text()
    monkeypatch.setattr(decoder_exchange, "START_LIMIT_S", 0.0)
    silent = Decoder(tmp_path, (sys.executable, "-c", "import sys; sys.stdin.read()"))
    with pytest.raises(WorkerError, match="does not start"):
        silent(scan, tmp_path)
    with pytest.raises(WorkerError, match="could not be started"):
        Decoder(tmp_path, (str(tmp_path / "nothing"),))(scan, tmp_path)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="this system has no handles of processes")
def test_the_child_ends_with_its_parent(tmp_path: Path) -> None:
    """Also when the parent is killed: nobody is there to end it."""
    code = f"""
from pathlib import Path
from segdesk.workers.decoder import Decoder
decoder = Decoder(Path({str(tmp_path)!r}))
decoder.warm_up()
print(*decoder.pids, flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pidfd = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
        try:
            assert select.select([pidfd], [], [], 20)[0], "the child outlived its parent"
        finally:
            os.close(pidfd)


def test_importing_the_decoder_loads_no_format_library() -> None:
    heavy = "{'pydicom', 'SimpleITK', 'nibabel', 'PIL'}"
    code = f"import segdesk.workers.decoder, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_whole_program_reads_where_it_is_told(tmp_path: Path) -> None:
    asked = []

    def elsewhere(function, /, *args, **kwargs):
        asked.append((function.__name__, args))
        return function(*args, **kwargs)

    path = nifti(tmp_path)
    with image_reader.reading_elsewhere(elsewhere):
        assert routed_scan(path).series
    routed_scan(path)
    assert asked == [("scan", (path,))]


def test_limits_grow_with_the_image() -> None:
    assert decoder_limits.memory_limit_bytes(1 << 30) == 7 << 30
    assert decoder_limits.silence_limit_s(80 << 20) == decoder_limits.SILENCE_S + 10
    assert decoder_limits.step_limit_s(80 << 20) == decoder_limits.STEP_S + 10
    assert decoder_limits.private_bytes(2**22 + 1) == 0


def test_a_long_name_does_not_leave_its_room() -> None:
    room = np.full(decoder_serve.PLACE_BYTES, 7, np.uint8)
    decoder_serve.Place(room)(Path("x" * 5000))
    assert room[-1] == 0
    decoder_serve.Place(room)(None)
    assert room[0] == 0


def test_relative_paths_start_where_the_caller_is(
    decoder: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        picture(tmp_path / name, f"{name}.png")
    monkeypatch.chdir(tmp_path / "here")
    found = decoder(scan, Path("here.png"))
    monkeypatch.chdir(tmp_path / "there")
    assert decoder(scan, Path("there.png")).series[0].uid == "there.png"
    # An entry goes on reading what was scanned.
    assert found.series[0].read().array.shape == (1, 3, 4)
    assert not decoder(scan, tmp_path / "there").refused


def test_a_folder_that_is_gone_is_no_place_for_relative_paths(
    decoder: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert decoder(scan, picture(tmp_path, "a.png")).series
    with pytest.raises(ReadError, match=r"a\.png does not exist"):
        decoder(scan, Path("a.png"))
