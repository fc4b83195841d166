"""The dialog that imports a model, and the form behind it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PySide6.QtWidgets import QDialogButtonBox, QLineEdit
from pytestqt.qtbot import QtBot

from segdesk.core.progress import Progress
from segdesk.errors import ImportRefused
from segdesk.ui.dialogs.import_model import ImportModelDialog
from segdesk.ui.jobs import Jobs
from segdesk.ui.models.import_form import ImportForm, suggested_name
from segdesk.ui.theme import Role
from segdesk.workers.model_import import ImportRequest, ModelImporter
from segdesk.zoo.foreign.contract import ModelContract
from segdesk.zoo.foreign.inspect import look_into
from segdesk.zoo.model_folder import ModelFolder
from tests.zoo.folders import WEIGHTS, folder

GOLDEN = Path(__file__).parents[1] / "nn" / "golden" / "plain" / "nnUNetTrainer__nnUNetPlans__3d_fullres"

FILLED = ImportForm(
    name="liver", dimensions="3", network="unet", numbers='{"widths": [4, 8]}', channels="ct: window -57 164 -57 221",
    labels="1 liver\n3 portal vein", spacing="2 x 1 x 1.5", patch="32 64 64", orientation="own", axis_order="ijk",
    dataset="ours", licence="CC0",
)  # fmt: skip


def test_a_filled_form_is_a_contract() -> None:
    assert FILLED.problem == ""
    contract = FILLED.contract
    assert contract.labels is not None
    assert contract.channels is not None
    assert [(label.value, label.name) for label in contract.labels] == [(1, "liver"), (3, "portal vein")]
    assert contract.channels[0].normalisation.std == 221
    assert contract.spacing_kji_mm == (2.0, 1.0, 1.5)
    assert contract.orientation is None


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("name", "", "name"),
        ("name", "../up", "no blanks"),
        ("dimensions", "", "2D or 3D"),
        ("network", "", "Choose the network"),
        ("numbers", "{", "JSON"),
        ("numbers", '{"a": {"b": 1}}', "parameters"),
        ("channels", "", "channels"),
        ("channels", "ct", "no channel"),
        ("channels", "ct: window low", "no number"),
        ("channels", "ct: none 1 2 3 4 5", "more numbers"),
        ("channels", "ct: sorcery", "kind"),
        ("labels", "", "labels"),
        ("labels", "liver 1", "whole number"),
        ("labels", "1 a\n1 b", "unique"),
        ("spacing", "", "voxel size"),
        ("spacing", "1 2", "three numbers"),
        ("spacing", "0 1 1", "spacing"),
        ("patch", "", "window"),
        ("patch", "1.5 2 2", "whole number"),
        ("orientation", "", "axes"),
        ("axis_order", "", "order"),
        ("licence", " ", "terms"),
    ],
)
def test_a_field_that_does_not_say_enough_is_asked_for(field: str, text: str, words: str) -> None:
    assert words in FILLED.changed(**{field: text}).problem


def test_what_was_found_fills_the_form_and_survives_it() -> None:
    found = look_into(GOLDEN)
    assert found is not None
    form = ImportForm.of(found.contract)
    assert form.problem == ""
    assert form.spacing == "2.5 1 0.8"
    assert form.orientation == "own"
    assert form.contract == found.contract.completed_by(ModelContract(channels=form.contract.channels))
    assert form.contract.channels is not None
    assert form.contract.channels[0].modality == "CT"


@pytest.mark.parametrize(
    ("source", "name"),
    [("a/Liver (best) v2.pth", "Liver-best-v2"), ("_x_.pt", "x"), ("ärzte/肝.pt", ""), ("b.zip", "b")],
)
def test_a_name_is_suggested_after_the_file(source: str, name: str) -> None:
    assert suggested_name(Path(source)) == name
    assert FILLED.changed(name=name).problem == ("" if name else "Give the model a name.")


def test_an_empty_form_says_nothing() -> None:
    assert ImportForm().gap == ImportForm().problem == "Give the model a name."
    assert ImportForm(spacing="x").gap == ""
    assert ImportForm.of(ModelContract()).spacing == ""
    assert ImportForm.of(ModelContract(spacing_kji_mm=None)).spacing == "own"


class FakeImporter(ModelImporter):
    """Keeps what it is asked for."""

    def __init__(self, made: ModelFolder | None) -> None:
        super().__init__()
        self.requests: list[ImportRequest] = []
        self._made = made

    def __call__(self, request: ImportRequest, report: Progress = lambda *_: None) -> ModelFolder:
        self.requests.append(request)
        if self._made is None:
            raise ImportRefused("The weights do not fit.")
        return self._made


@pytest.fixture
def jobs(qtbot: QtBot) -> Jobs:
    return Jobs()


def _open(qtbot: QtBot, source: Path, jobs: Jobs, importer: ModelImporter | None = None) -> ImportModelDialog:
    dialog = ImportModelDialog(source, source.parent / "models", jobs, importer)
    qtbot.addWidget(dialog)
    qtbot.waitUntil(lambda: not jobs.running)
    return dialog


def _ok(dialog: ImportModelDialog) -> QDialogButtonBox:
    return dialog.buttons.button(QDialogButtonBox.StandardButton.Ok)


def test_a_model_that_says_enough_can_be_imported_at_once(qtbot: QtBot, jobs: Jobs, tmp_path: Path) -> None:
    made = folder(tmp_path / "toy")
    importer = FakeImporter(made)
    dialog = _open(qtbot, GOLDEN, jobs, importer)
    assert dialog.problem == ""
    assert _ok(dialog).isEnabled()
    with qtbot.waitSignal(dialog.imported) as told:
        _ok(dialog).click()
    assert told.args == [made]
    assert importer.requests[0].declared.network is not None
    assert importer.requests[0].declared.labels is not None


def test_bare_weights_ask_until_everything_is_said(qtbot: QtBot, jobs: Jobs, tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(WEIGHTS)
    importer = FakeImporter(None)
    dialog = _open(qtbot, tmp_path / "w.safetensors", jobs, importer)
    assert not _ok(dialog).isEnabled()
    assert dialog.problem == "Say whether the network is 2D or 3D."
    # What is not said yet is no error; a mistake is.
    assert dialog._problem.property("role") == Role.MUTED
    assert dialog.form.name == "w"
    dialog.fields["name"].setText("two words")  # type: ignore[union-attr]
    assert "no blanks" in dialog._problem.text()
    assert dialog._problem.property("role") == Role.ERROR
    with dialog._filling():
        for name, field in dialog.fields.items():
            text = getattr(FILLED, name)
            if isinstance(field, QLineEdit):
                field.setText(text)
            elif hasattr(field, "setPlainText"):
                field.setPlainText(text)
            else:
                field.setCurrentIndex(field.findData(text))
    dialog.fields["title"].setText("Liver in CT")  # type: ignore[union-attr]
    assert dialog.problem == ""
    assert _ok(dialog).isEnabled()
    _ok(dialog).click()
    qtbot.waitUntil(lambda: not jobs.running)
    assert importer.requests[0].declared.title == "Liver in CT"
    assert "do not fit" in dialog._problem.text()
    assert _ok(dialog).isEnabled()


def test_a_model_of_ours_needs_no_words(qtbot: QtBot, jobs: Jobs, tmp_path: Path) -> None:
    made = folder(tmp_path / "toy")
    importer = FakeImporter(made)
    dialog = _open(qtbot, made.path, jobs, importer)
    assert dialog._body.isHidden()
    with qtbot.waitSignal(dialog.imported):
        _ok(dialog).click()
    assert not importer.requests[0].declared.model_fields_set


def test_what_is_refused_cannot_be_imported(qtbot: QtBot, jobs: Jobs, tmp_path: Path) -> None:
    (tmp_path / "model.ts").write_bytes(b"PK")
    dialog = _open(qtbot, tmp_path / "model.ts", jobs)
    assert "Nothing in it was run" in dialog._problem.text()
    assert not _ok(dialog).isEnabled()
    assert (dialog._body.isHidden(), _ok(dialog).isHidden()) == (True, True)
    assert dialog._about.text() == "model.ts was not imported."


def test_a_network_that_is_an_expression_may_be_declared(tmp_path: Path) -> None:
    for name in ("configs", "models"):
        (tmp_path / "b" / name).mkdir(parents=True)
    (tmp_path / "b" / "configs" / "metadata.json").write_text(json.dumps({"name": "b"}))
    (tmp_path / "b" / "configs" / "inference.json").write_text(json.dumps({"network_def": {"_target_": "$x"}}))
    (tmp_path / "b" / "models" / "model.safetensors").write_bytes(WEIGHTS)
    found = look_into(tmp_path / "b")
    assert found is not None
    assert "network" in found.contract.missing
    assert "expression" in found.notes[0]


def test_closing_the_dialog_cancels_the_import(qtbot: QtBot, jobs: Jobs) -> None:
    dialog = ImportModelDialog(GOLDEN, GOLDEN, jobs)
    qtbot.addWidget(dialog)
    (job,) = jobs.running
    dialog.reject()
    assert job.is_cancelling
    qtbot.waitUntil(lambda: not jobs.running)
