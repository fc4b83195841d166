"""`segdesk models import` and `segdesk models export`, as a user types them."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from segdesk import paths
from segdesk.cli import model_exchange
from tests.cli.conftest import Run

GOLDEN = Path(__file__).parents[1] / "nn" / "golden" / "plain" / "nnUNetTrainer__nnUNetPlans__3d_fullres"


def test_a_foreign_model_is_imported_in_a_child_and_predicts(
    run: Run, tmp_path: Path, scan_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The user stands in the stranger's folder: nothing there may be taken for a library.
    strange = tmp_path / "strange"
    strange.mkdir()
    for name in ("torch.py", "segdesk.py", "pickle.py"):
        (strange / name).write_text("import os; os.mkdir('executed'); raise SystemExit(3)")
    monkeypatch.chdir(strange)
    done = run("models", "import", GOLDEN, "--name", "organ", "--to", tmp_path / "mine", "--json", "--quiet")
    assert done.code == 0, done.err
    assert not (strange / "executed").exists()
    assert done.json["imported"] == "nnunet-v2"
    assert done.json["labels"] == {"1": "organ", "2": "lesion"}
    assert any("cubic splines" in note for note in done.json["notes"])
    assert run("models", "verify", tmp_path / "mine" / "organ").code == 0
    shown = run("models", "show", tmp_path / "mine" / "organ").out
    assert "Imported (nnunet-v2) from checkpoint_final.pth" in shown
    mask = tmp_path / "mask.nii.gz"
    assert run("predict", scan_file, mask, "--model", tmp_path / "mine" / "organ", "--device", "cpu", "-q").code == 0
    assert mask.is_file()


def test_all_folds_are_imported_unless_some_are_named(run: Run, tmp_path: Path) -> None:
    source = tmp_path / GOLDEN.name
    shutil.copytree(GOLDEN, source)
    shutil.copytree(GOLDEN / "fold_0", source / "fold_1")
    words = ["models", "import", source, "--to", tmp_path / "mine", "--quiet"]
    done = run(*words, "--name", "both")
    assert done.code == 0, done.err
    assert "All folds were taken (0, 1): 2 networks" in done.out
    assert "2 networks averaged" in run("models", "show", tmp_path / "mine" / "both").out
    refused = run(*words, "--name", "none", "--fold", "0,5")
    assert refused.code == 2
    assert "no fold_5 here" in refused.err


def test_a_zip_takes_a_model_elsewhere_and_back(run: Run, toy_model: Path, tmp_path: Path) -> None:
    assert run("models", "export", toy_model, tmp_path / "toy.zip").code == 0
    done = run("models", "import", tmp_path / "toy.zip", "--to", tmp_path / "there", "--name", "copy", "--json")
    assert done.code == 0, done.err
    assert done.json["weights_sha256"] == run("models", "show", toy_model, "--json").json["weights_sha256"]
    assert done.json["name"] == "copy"
    again = run("models", "import", tmp_path / "toy.zip", "--to", tmp_path / "there", "--name", "copy", "--json")
    assert (again.code, again.json["error"]["code"]) == (2, "exists")
    assert (
        run("models", "import", tmp_path / "toy.zip", "--to", tmp_path / "there", "--name", "copy", "--overwrite").code
        == 0
    )


def test_models_go_to_the_users_own_by_default(
    run: Run, toy_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_exchange, "user_models", lambda: tmp_path / "own")
    assert paths.user_models() != tmp_path / "own"
    out = run("models", "import", toy_model).out
    assert "toy@1" in out
    assert (tmp_path / "own" / "toy" / "model.json").is_file()


def test_what_is_missing_is_asked_for_and_a_contract_answers(run: Run, tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    done = run("models", "import", tmp_path / "weights.safetensors", "--to", tmp_path, "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "contract_incomplete")
    assert "axis_order" in done.json["error"]["message"]
    (tmp_path / "contract.toml").write_text("colour = 3\n")
    done = run("models", "import", tmp_path / "weights.safetensors", "--contract", tmp_path / "contract.toml", "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "usage")
    assert "colour" in done.json["error"]["message"]


@pytest.mark.parametrize(
    "words", [("--name", "../up"), ("--name", ""), ("--fold", "9x"), ("--contract", "nothing.json")]
)
def test_wrong_words_are_refused_in_one_line(words: tuple[str, str], run: Run, tmp_path: Path) -> None:
    done = run("models", "import", GOLDEN, *words, "--to", tmp_path / "mine", "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "usage")
    assert not (tmp_path / "mine").exists()


def test_nothing_is_imported_from_nowhere(run: Run, tmp_path: Path) -> None:
    done = run("models", "import", tmp_path / "nothing", "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "not_found")
    (tmp_path / "photos").mkdir()
    done = run("models", "import", tmp_path / "photos", "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "import_refused")


def test_a_bundle_is_the_format_of_a_folder(run: Run, toy_model: Path, tmp_path: Path) -> None:
    done = run("models", "export", toy_model, tmp_path / "bundle", "--json")
    assert done.json["format"] == "bundle"
    metadata = json.loads((tmp_path / "bundle" / "configs" / "metadata.json").read_text())
    assert metadata["network_data_format"]["outputs"]["pred"]["channel_def"] == {"0": "background", "1": "bright"}
    assert (
        run("models", "export", toy_model, tmp_path / "bundle", "--overwrite", "--json").json["error"]["code"]
        == "usage"
    )


def test_the_format_may_be_named(run: Run, toy_model: Path, tmp_path: Path) -> None:
    assert run("models", "export", toy_model, tmp_path / "model.bin", "--format", "zip").code == 0
    assert zipfile.is_zipfile(tmp_path / "model.bin")


def test_onnx_says_how_far_it_is_from_us(
    run: Run, toy_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segdesk.nn.exporting_onnx.export_onnx", lambda *_, **__: 2e-6)
    assert "within 2e-06" in run("models", "export", toy_model, tmp_path / "model.onnx").out
