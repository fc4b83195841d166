"""Predictions that were made before: found again whole, or not at all, and never in the way."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from segdesk import paths
from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.core.prediction import Prediction, PredictOptions, Uncertainty
from segdesk.core.progress import silent
from segdesk.core.provenance import Origin, OriginKind
from segdesk.core.volume import Volume
from segdesk.errors import BadModelFolder, ModelError, UsageError, WriteError
from segdesk.session import result_cache as module
from segdesk.session.cached_predictor import CachedPredictor, cached_text
from segdesk.session.result_cache import LIMIT_VARIABLE, CacheSize, ResultCache
from segdesk.session.stored_result import StoredResult
from segdesk.zoo.spec import Channel
from tests.session.toys import SECONDS, toy_model
from tests.zoo.folders import WEIGHTS, folder

KEY = "ab" * 32
WHEN = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
GRID = Geometry.from_spacing((4, 6, 5), (2.0, 1.0, 1.0))


def result(fill: int = 1, dtype: type = np.uint8, shape: tuple[int, int, int] = (4, 6, 5)) -> StoredResult:
    labels = np.zeros(shape, dtype)
    labels[1:3, 2:5, 1:4] = fill
    return StoredResult(labels, {"model": "toy@1", "windows": 3, "seconds": SECONDS}, {"overlap": 0.5}, WHEN)


@pytest.fixture
def cache(tmp_path: Path) -> ResultCache:
    return ResultCache(tmp_path / "results", 10_000_000)


@pytest.mark.parametrize(("fill", "dtype"), [(1, np.uint8), (0, np.uint8), (1000, np.uint16)])
def test_a_result_is_found_as_it_was(cache: ResultCache, fill: int, dtype: type) -> None:
    kept = result(fill, dtype)
    cache.keep(KEY, kept)
    found = cache.find(KEY)
    assert found is not None
    np.testing.assert_array_equal(found.labels, kept.labels)
    assert found.labels.dtype == kept.labels.dtype
    assert found.labels.flags.writeable
    assert (found.manifest, found.parameters, found.created) == (kept.manifest, kept.parameters, kept.created)
    assert cache.find("cd" * 32) is None


def test_labels_in_fortran_order_are_kept_too(cache: ResultCache) -> None:
    kept = replace(result(), labels=np.asfortranarray(result().labels))
    cache.keep(KEY, kept)
    assert cache.find(KEY).same_as(kept)


def test_the_folder_is_its_owners_and_says_nothing_of_the_image(cache: ResultCache) -> None:
    cache.folder.mkdir(mode=0o755)
    cache.keep(KEY, result())
    (file,) = cache.folder.iterdir()
    assert cache.folder.stat().st_mode & 0o777 == 0o700
    assert file.name == f"{KEY}.zip"
    with zipfile.ZipFile(file) as archive:
        assert archive.namelist() == ["entry.json", "labels.npy"]
        assert set(json.loads(archive.read("entry.json"))) == {
            "format", "key", "created", "shape_kji", "dtype", "box", "parameters", "manifest", "digest",
        }  # fmt: skip


def test_a_mask_takes_the_room_of_what_is_drawn(cache: ResultCache) -> None:
    cache.keep(KEY, result(shape=(64, 256, 256)))
    assert cache.size().bytes < 2000


def _edit_entry(path: Path, change: Callable[[dict], object]) -> None:
    with zipfile.ZipFile(path) as archive:
        entry = json.loads(archive.read("entry.json"))
    change(entry)
    _replace_entry(path, entry)


def _replace_entry(path: Path, entry: object) -> None:
    with zipfile.ZipFile(path) as archive:
        labels = archive.read("labels.npy")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("entry.json", json.dumps(entry))
        archive.writestr("labels.npy", labels)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "empty": lambda path: path.write_bytes(b""),
    "of another key": lambda path: _edit_entry(path, lambda entry: entry.update(key="cd" * 32)),
    "of another format": lambda path: _edit_entry(path, lambda entry: entry.update(format=9)),
    "changed words": lambda path: _edit_entry(path, lambda entry: entry["manifest"].update(model="x@1")),
    "another box": lambda path: _edit_entry(path, lambda entry: entry.update(box=[[0, 0, 0], [1, 1, 1]])),
    "a huge shape": lambda path: _edit_entry(path, lambda entry: entry.update(shape_kji=[10**6] * 3)),
    "a huge entry": lambda path: _edit_entry(path, lambda entry: entry.update(x="y" * (5 << 20))),
    "no digest": lambda path: _edit_entry(path, lambda entry: entry.pop("digest")),
    "no table": lambda path: _replace_entry(path, None),
    "another type": lambda path: _edit_entry(path, lambda entry: entry.update(dtype="object")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_result_is_dropped_and_logged(
    cache: ResultCache, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache.keep(KEY, result())
    (file,) = cache.folder.iterdir()
    DAMAGES[damage](file)
    assert cache.find(KEY) is None
    assert not file.exists()
    assert "damaged" in caplog.text
    cache.keep(KEY, result())
    assert cache.find(KEY) is not None


def test_a_turned_bit_anywhere_is_found_or_changes_nothing(cache: ResultCache) -> None:
    cache.keep(KEY, result())
    (file,) = cache.folder.iterdir()
    whole = file.read_bytes()
    dropped = 0
    for place in range(0, len(whole), 11):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        found = cache.find(KEY)
        assert found is None or found.same_as(result())
        dropped += found is None
    assert dropped > len(whole) // 11 // 2


def test_the_results_used_last_stay_when_room_runs_out(cache: ResultCache) -> None:
    keys = [f"{number:02x}" * 32 for number in range(4)]
    for number, each in enumerate(keys[:3]):
        cache.keep(each, result())
        os.utime(cache.folder / f"{each}.zip", (1000 + number, 1000 + number))
    # Entries differ by a few bytes: their keys are in them.
    room = ResultCache(cache.folder, cache.size().bytes + 100)
    assert room.find(keys[0]) is not None
    room.keep(keys[3], result())
    assert [room.find(each) is not None for each in keys] == [True, False, True, True]
    assert room.size().results == 3


def test_a_result_larger_than_the_cache_pushes_nothing_out(cache: ResultCache) -> None:
    cache.keep(KEY, result())
    large = replace(result(), labels=np.random.default_rng(1).integers(0, 255, (4, 60, 50), np.uint8))
    ResultCache(cache.folder, cache.size().bytes).keep("cd" * 32, large)
    assert cache.find(KEY) is not None
    assert cache.find("cd" * 32) is None


def test_what_killed_processes_left_goes_after_a_while(cache: ResultCache) -> None:
    cache.keep(KEY, result())
    old, young = cache.folder / ".tmp-1.zip", cache.folder / ".tmp-2.zip"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (1000, 1000))
    cache.keep("cd" * 32, result())
    assert (old.exists(), young.exists()) == (False, True)
    assert cache.size().results == 2
    assert cache.clear().results == 2
    assert list(cache.folder.iterdir()) == []


def test_a_cache_that_was_never_used_is_empty_and_can_be_cleared(cache: ResultCache) -> None:
    assert cache.size() == cache.clear() == CacheSize(0, 0)
    assert not cache.folder.exists()


def test_what_cannot_be_removed_is_told(cache: ResultCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    cache.keep(KEY, result())
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(WriteError, match="cannot be cleared"):
        cache.clear()


@pytest.mark.parametrize("failure", ["a full disk", "no folder", "reads back differently"])
def test_a_result_that_cannot_be_kept_fails_nothing(
    cache: ResultCache, failure: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if failure == "a full disk":
        monkeypatch.setattr(module, "write_result", full)
    elif failure == "no folder":
        cache.folder.parent.mkdir(exist_ok=True)
        cache.folder.write_text("a file")
    else:
        monkeypatch.setattr(module, "write_result", lambda path, key, result: path.write_bytes(b"else"))
    cache.keep(KEY, result())
    assert "was not kept" in caplog.text
    assert cache.find(KEY) is None
    assert not cache.folder.is_dir() or list(cache.folder.iterdir()) == []


@pytest.mark.parametrize(("text", "limit"), [("", 4_000_000_000), ("0.5", 500_000_000), ("0", 0)])
def test_the_size_comes_from_the_environment(text: str, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, text)
    cache = ResultCache.of_user()
    assert cache.limit_bytes == limit
    assert cache.folder == paths.user_cache_folder() / "predictions"


@pytest.mark.parametrize("text", ["much", "-1", "nan", "inf"])
def test_a_size_that_is_none_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, text)
    with pytest.raises(UsageError, match="number of GB"):
        ResultCache.of_user()


def test_a_cache_of_no_size_keeps_and_finds_nothing(cache: ResultCache) -> None:
    cache.keep(KEY, result())
    off = ResultCache(cache.folder, 0)
    assert off.find(KEY) is None
    off.keep("cd" * 32, result())
    assert cache.size().results == 1


def test_many_at_once_get_a_whole_result_or_none(cache: ResultCache) -> None:
    keys = [f"{number:02x}" * 32 for number in range(3)]
    small = ResultCache(cache.folder, 1800)

    def work(number: int) -> bool:
        for step in range(6):
            each = keys[(number + step) % 3]
            small.keep(each, result(1 + keys.index(each)))
            found = small.find(each)
            if found is not None and not found.same_as(result(1 + keys.index(each))):
                return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, range(6)))
    assert all(file.name.endswith(".zip") and not file.name.startswith(".tmp") for file in cache.folder.iterdir())


_CHILD = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import numpy as np
from segdesk.session.result_cache import ResultCache
from segdesk.session.stored_result import StoredResult
cache = ResultCache(Path(sys.argv[1]), 10_000_000)
mine = StoredResult(np.full((4, 6, 5), 7, np.uint8), {}, {}, datetime.now(UTC))
print("ready", flush=True)
for _ in range(10):
    cache.keep(sys.argv[2], mine)
    found = cache.find(sys.argv[2])
    assert found is None or set(np.unique(found.labels)) in ({7}, {0, 1})
"""


def test_two_processes_share_a_cache(cache: ResultCache) -> None:
    words = [sys.executable, "-c", _CHILD, str(cache.folder), KEY]
    root = Path(__file__).parents[2]
    with subprocess.Popen(words, cwd=root, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        for _ in range(10):
            cache.keep(KEY, result())
            found = cache.find(KEY)
            assert found is None or set(np.unique(found.labels)) in ({7}, {0, 1})
            cache.clear()
    assert child.returncode == 0


class Counting:
    """Labels everything above 50 with 1; counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, channels, model, options, report) -> Prediction:
        self.calls += 1
        volume = next(iter(channels.values()))
        origin = Origin(OriginKind.MODEL, "toy@1", (), {"overlap": options.overlap}, "0" * 64, WHEN)
        labels = replace(LabelMap.of((volume.array > 50).astype(np.uint8), volume.geometry), origin=origin)
        manifest = {"model": "toy@1", "cached": False, "windows": 3, "seconds": SECONDS, "peak_memory_mib": 9.0}
        return Prediction(labels, manifest)


@pytest.fixture
def volume() -> Volume:
    return Volume(np.random.default_rng(3).integers(0, 100, GRID.shape_kji).astype(np.int16), GRID)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return toy_model(tmp_path / "zoo" / "toy").path


def test_the_second_time_a_result_is_taken_from_the_cache_and_says_so(
    cache: ResultCache, volume: Volume, model: Path
) -> None:
    inner = Counting()
    predictor = CachedPredictor(inner, cache)
    first = predictor({"image": volume}, model, PredictOptions(), silent)
    moved = replace(GRID, frame_of_reference_uid="1.2.3")
    second = predictor({"image": replace(volume, geometry=moved)}, model, PredictOptions(), silent)
    assert inner.calls == 1
    np.testing.assert_array_equal(second.labels.array, first.labels.array)
    assert second.labels.geometry is moved
    assert second.labels.table.name_of(1) == "thing"
    assert second.labels.origin.created == WHEN
    assert second.labels.origin.parameters == {"overlap": 0.5}
    assert (first.manifest["cached"], second.manifest["cached"]) == (False, True)
    assert second.manifest["seconds"]["network"] == 0.0
    assert 0 < second.manifest["seconds"]["total"] < SECONDS["total"]
    assert second.manifest["peak_memory_mib"] is None
    assert second.manifest["cache"] == {"created": WHEN.isoformat(), "seconds": SECONDS, "peak_memory_mib": 9.0}
    assert cached_text(first.manifest) == ""
    assert cached_text(second.manifest).startswith("From the result cache: made 2026-03-01 ")
    assert cached_text(second.manifest).endswith(" in 15.0 s")


def test_a_result_of_unknown_duration_says_when_it_was_made() -> None:
    text = cached_text({"cached": True, "cache": {"created": WHEN.isoformat(), "seconds": None}})
    assert text == f"From the result cache: made {WHEN.astimezone():%Y-%m-%d %H:%M}"


def test_another_setting_image_or_model_is_asked_for_again(
    cache: ResultCache, volume: Volume, model: Path, tmp_path: Path
) -> None:
    inner = Counting()
    predictor = CachedPredictor(inner, cache)
    questions = [
        (volume, model, PredictOptions()),
        (volume, model, PredictOptions(overlap=0.25)),
        (replace(volume, array=volume.array + 1), model, PredictOptions()),
        (volume, toy_model(tmp_path / "zoo" / "other", 2).path, PredictOptions()),
    ]
    for image, which, options in questions * 2:
        predictor({"image": image}, which, options, silent)
    assert inner.calls == len(questions)


@pytest.mark.parametrize(
    "options", [PredictOptions(probabilities=True), PredictOptions(uncertainty=Uncertainty.ENTROPY)]
)
def test_runs_with_maps_are_not_kept(cache: ResultCache, volume: Volume, model: Path, options: PredictOptions) -> None:
    inner = Counting()
    predictor = CachedPredictor(inner, cache)
    for _ in range(2):
        predictor({"image": volume}, model, options, silent)
    assert inner.calls == 2
    assert cache.size().results == 0


def test_a_missing_channel_is_the_predictors_to_refuse(cache: ResultCache, volume: Volume, tmp_path: Path) -> None:
    def refuse(*_: object) -> Prediction:
        raise ModelError("t2 is missing", code="wrong_channels")

    two = folder(tmp_path / "two", WEIGHTS, channels=(Channel(name="t1"), Channel(name="t2"))).path
    with pytest.raises(ModelError, match="t2"):
        CachedPredictor(refuse, cache)({"t1": volume}, two, PredictOptions(), silent)


def test_weights_that_changed_are_refused_although_the_result_is_known(
    cache: ResultCache, volume: Volume, model: Path
) -> None:
    predictor = CachedPredictor(Counting(), cache)
    predictor({"image": volume}, model, PredictOptions(), silent)
    weights = model / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(BadModelFolder, match="not those its model"):
        predictor({"image": volume}, model, PredictOptions(), silent)


def test_a_damaged_result_is_computed_again(cache: ResultCache, volume: Volume, model: Path) -> None:
    inner = Counting()
    predictor = CachedPredictor(inner, cache)
    for _ in range(2):
        predictor({"image": volume}, model, PredictOptions(), silent)
        (file,) = cache.folder.iterdir()
        file.write_bytes(file.read_bytes()[:-30])
    assert inner.calls == 2
