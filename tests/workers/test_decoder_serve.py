"""The decoder child's own side, called in this process."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from segdesk.core.progress import Cancelled, Progress
from segdesk.errors import ReadError
from segdesk.io.suspects import looking_at
from segdesk.workers import decoder_serve
from segdesk.workers.decoder_serve import Decoder, Watchdog
from segdesk.workers.messages import Message, error_to_json
from segdesk.workers.parent_line import ParentLine
from segdesk.workers.plain_values import Packer
from segdesk.workers.shared_array import ArrayRef


class Child:
    """A decoder with a line to nobody; blocks are files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.sent = io.StringIO()
        self.line = ParentLine(io.StringIO(), self.sent)
        self.watchdog = Watchdog()
        self.decoder = Decoder(self.line, self.watchdog)

    def block(self, shape: tuple[int, ...], dtype: str) -> ArrayRef:
        path = self._folder / f"block-{len(list(self._folder.iterdir()))}"
        path.write_bytes(bytes(int(np.prod(shape)) * np.dtype(dtype).itemsize))
        return ArrayRef("file", str(path), shape, dtype)

    def answer(self, op: str, **more: Any) -> Message:
        place = self.block((decoder_serve.PLACE_BYTES,), "|u1")
        known = {"policy": [1 << 30, 200.0], "marked": [], "place": place.to_json(), "folder": os.getcwd()}
        request = {"op": op, "id": 7, **known, **more}
        return self.decoder.answer(json.loads(json.dumps(request)))

    def call(self, function: str, path: Path, **more: Any) -> Message:
        arguments = Packer().pack({"path": path})
        return self.answer("call", function=function, arguments=arguments, reports=True, **more)

    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.sent.getvalue().splitlines()]


@pytest.fixture
def child(tmp_path: Path) -> Child:
    (tmp_path / "blocks").mkdir()
    return Child(tmp_path / "blocks")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    nibabel.save(nibabel.Nifti1Image(np.ones((20, 30, 40), np.int16), np.eye(4)), tmp_path / "a.nii")
    return tmp_path / "a.nii"


def test_voxels_are_written_into_the_parents_room(child: Child, image: Path) -> None:
    room = child.block((40, 30, 20), "<i2")
    child.line.requests.put({"op": "room", "id": 7, "refs": [room.to_json()]})
    assert child.call("read_volume", image)["event"] == "result"
    assert np.fromfile(room.name, "<i2").tolist() == [1] * 24000
    events = child.events()
    assert events[0] == "begun"
    assert events.index("size") < events.index("room")
    assert child.watchdog.image_bytes == 0


def test_entries_of_the_last_scans_can_be_read(child: Child, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder_serve, "_KEPT_SCANS", 1)
    assert child.call("scan", image)["event"] == "result"
    child.line.requests.put({"op": "room", "id": 7, "refs": [child.block((40, 30, 20), "<i2").to_json()]})
    assert child.answer("read", scan=7, number=0)["event"] == "result"
    child.call("scan", image, id=8)
    assert child.answer("read", scan=7, number=0)["event"] == "gone"


@pytest.mark.parametrize(
    ("error", "event", "code"),
    [
        (Cancelled(), "cancelled", None),
        (ReadError("no", code="truncated"), "error", "truncated"),
        (MemoryError(), "error", "decoder_memory"),
        (KeyError("Patient^Name"), "error", "internal"),
    ],
)
def test_what_goes_wrong_is_told_and_the_child_goes_on(
    child: Child,
    image: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    event: str,
    code: str | None,
) -> None:
    def fail(path: Path, report: Progress) -> None:
        raise error

    monkeypatch.setitem(decoder_serve.FUNCTIONS, "scan", fail)
    answer = child.call("scan", image)
    assert answer["event"] == event
    assert answer.get("error", {}).get("code") == code
    assert "Patient" not in json.dumps(answer) + capsys.readouterr().err


def test_marked_files_are_refused_without_a_look(child: Child, image: Path) -> None:
    error = error_to_json(ReadError("a.nii: the decoder crashed", code="decoder_crashed", path=image))
    answer = child.call("scan", image, marked=[[str(image), error]])
    assert answer["error"]["code"] == "decoder_crashed"


def test_the_file_in_hand_is_written_down(child: Child, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def look(path: Path, report: Progress) -> None:
        place = next(iter(sorted(child._folder.iterdir())))
        with looking_at(path):
            seen.append(place.read_bytes().split(b"\0")[0])
        seen.append(place.read_bytes().split(b"\0")[0])

    monkeypatch.setitem(decoder_serve.FUNCTIONS, "scan", look)
    child.call("scan", image)
    assert seen == [str(image).encode(), b""]


def test_only_reading_can_be_asked_for(child: Child, image: Path) -> None:
    assert child.call("write_volume", image)["error"]["code"] == "internal"


def test_the_watchdog_waits_longer_for_a_larger_image(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(decoder_serve.faulthandler, "dump_traceback_later", lambda wait, exit: waits.append(wait))
    watchdog = Watchdog()
    watchdog.wind_up()
    watchdog.image_bytes = 1 << 30
    watchdog.wind_up()
    assert waits[1] > waits[0] > 30
