"""The child that opens foreign weights, seen from its parent."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from segdesk.core.progress import Cancelled, silent
from segdesk.errors import BadModelFolder, ImportRefused, WorkerError
from segdesk.workers.model_import import ConversionChild, ImportRequest, ModelImporter
from segdesk.zoo.foreign.contract import ModelContract
from segdesk.zoo.foreign.conversion import ConversionResult, write_result
from segdesk.zoo.model_folder import ModelFolder
from tests.zoo.folders import folder

GOLDEN = Path(__file__).parents[1] / "nn" / "golden" / "plain" / "nnUNetTrainer__nnUNetPlans__3d_fullres"


def _child(code: str, time_limit_s: float = 60.0) -> ConversionChild:
    return ConversionChild((sys.executable, "-c", code), time_limit_s)


def _request(tmp_path: Path) -> ImportRequest:
    return ImportRequest(GOLDEN, tmp_path / "models")


def test_a_child_that_dies_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    importer = ModelImporter(_child("import os; os.kill(os.getpid(), 9)"))
    with pytest.raises(WorkerError, match="signal 9"):
        importer(_request(tmp_path))
    assert not (tmp_path / "models").exists()


def test_a_child_that_hangs_is_ended(tmp_path: Path) -> None:
    importer = ModelImporter(_child("import threading; threading.Event().wait()", time_limit_s=0.2))
    with pytest.raises(WorkerError, match=r"longer than 0\.2 s"):
        importer(_request(tmp_path))


def test_cancelling_ends_the_child(tmp_path: Path) -> None:
    def cancel(done: int, total: int, text: str = "") -> None:
        if "process of their own" in text:
            raise Cancelled

    importer = ModelImporter(_child("import threading; threading.Event().wait()"))
    with pytest.raises(Cancelled):
        importer(_request(tmp_path), cancel)
    assert not (tmp_path / "models").exists()


def test_a_child_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="could not be started"):
        ConversionChild(("/nowhere/python",))(tmp_path, silent)


def test_what_the_child_refuses_is_raised_here(tmp_path: Path) -> None:
    error: dict[str, str | None] = {"code": "out_of_memory", "message": "Too much.", "path": None}

    def refuses(job: Path, _: object) -> int:
        write_result(ConversionResult(error=error), job)
        return 2

    with pytest.raises(ImportRefused, match="Too much") as caught:
        ModelImporter(refuses)(_request(tmp_path))
    assert caught.value.code == "out_of_memory"


def test_a_child_without_weights_is_no_success(tmp_path: Path) -> None:
    def forgets(job: Path, _: object) -> int:
        write_result(ConversionResult(tensors=3), job)
        return 0

    with pytest.raises(Exception, match="could not be written"):
        ModelImporter(forgets)(_request(tmp_path))
    assert not list((tmp_path / "models").iterdir())


def test_a_model_folder_of_ours_is_copied_with_its_extras(tmp_path: Path) -> None:
    ours = folder(tmp_path / "toy")
    (ours.path / "recipe.toml").write_text("a = 1\n")
    copy = ModelImporter()(ImportRequest(ours.path, tmp_path / "models", "other"))
    assert copy.path == tmp_path / "models" / "other"
    assert copy.spec.name == "other"
    assert copy.sha256 == ours.sha256
    assert (copy.path / "recipe.toml").read_text() == "a = 1\n"
    assert ModelFolder.load(copy.path).card_path.read_text() == "# Card\n"


def test_a_damaged_model_folder_is_not_copied(tmp_path: Path) -> None:
    ours = folder(tmp_path / "toy")
    content = bytearray(ours.weights_path.read_bytes())
    content[-1] ^= 1
    ours.weights_path.write_bytes(content)
    with pytest.raises(BadModelFolder, match="sha256"):
        ModelImporter()(ImportRequest(ours.path, tmp_path / "models"))
    assert not (tmp_path / "models").exists()


def test_a_contract_cannot_change_a_model_folder(tmp_path: Path) -> None:
    ours = folder(tmp_path / "toy")
    request = ImportRequest(ours.path, tmp_path / "models", declared=ModelContract(title="Another"))
    with pytest.raises(ImportRefused, match="cannot change"):
        ModelImporter()(request)
