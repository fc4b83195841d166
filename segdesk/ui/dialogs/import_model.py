"""Imports a model of another maker: shows what its files say, and asks for the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PySide6.QtCore import Signal as QtSignal
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLineEdit,
    QPlainTextEdit,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from segdesk.core.progress import Lane, Progress, Task
from segdesk.errors import SegdeskError
from segdesk.ui.jobs import Job, Jobs
from segdesk.ui.models.import_form import FIELD_HELP, OWN, ImportForm, suggested_name
from segdesk.ui.panels.section import wrapped
from segdesk.ui.theme import GRID_PX, Role, set_role
from segdesk.workers.model_import import ImportRequest, ModelImporter
from segdesk.zoo.allowed_networks import ALLOWED_NETWORKS
from segdesk.zoo.foreign.found import FoundModel
from segdesk.zoo.foreign.inspect import look_into
from segdesk.zoo.model_folder import ModelFolder

_SIZE_PX = (640, 720)
_LINES_PX = 76

_FORMATS = {
    "monai-bundle": "A MONAI bundle.",
    "nnunet-v2": "Trained results of nnU-Net v2.",
    "state-dict": "Weights alone: nothing in the file says what they are for. Declare it below; whoever trained them "
    "knows it.",
}
_CHOICES = {
    "dimensions": (("", "choose"), ("2", "2D"), ("3", "3D")),
    "orientation": (("", "choose"), (OWN, "the image's own"), ("RAS", "RAS"), ("LPS", "LPS")),
    "axis_order": (("", "choose"), ("kji", "k, j, i (nnU-Net, SimpleITK)"), ("ijk", "i, j, k (MONAI, NIfTI)")),
    "network": (("", "choose"), *((name, name) for name in sorted(ALLOWED_NETWORKS))),
}


class ImportModelDialog(QDialog):
    """Looks into a model, asks for what its files do not say, and imports it.

    The weights are opened in a process of their own; nothing in the files is run.

    Parameters
    ----------
    source : Path
        Folder, zip or file of weights.
    models : Path
        Folder of models it goes to.
    jobs : Jobs
        Where looking and importing run.
    importer : ModelImporter, optional
        Does the work.

    Signals
    -------
    imported : ModelFolder
        The model is there.
    """

    imported = QtSignal(object)

    def __init__(
        self,
        source: Path,
        models: Path,
        jobs: Jobs,
        importer: ModelImporter | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Import {source.name}")
        self.resize(*_SIZE_PX)
        self._source, self._models, self._jobs = source, models, jobs
        self._importer = importer or ModelImporter()
        self._form = ImportForm()
        self._says_all = False
        self._job: Job | None = None
        self._is_filling = False
        self.fields = _fields()
        self._about = wrapped("Looking into the model…", Role.MUTED)
        self._problem = wrapped("", Role.ERROR)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self._ok = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        self._ok.setText("Import")
        set_role(self._ok, Role.PRIMARY)
        self.buttons.accepted.connect(self._start)
        self.buttons.rejected.connect(self.reject)
        self._body = QScrollArea()
        self._lay_out()
        self._listen()
        self._set_ready(ready=False)
        self.finished.connect(self._end)
        self._run(Task("", Lane.CPU, lambda _: look_into(source), self._show_found))

    @property
    def form(self) -> ImportForm:
        """The fields as they stand."""
        return self._form.changed(**{name: _text_of(field) for name, field in self.fields.items()})

    @property
    def problem(self) -> str:
        """Why the model cannot be imported as it stands, "" when it can."""
        return "" if self._says_all else self.form.problem

    def _show_found(self, found: FoundModel | None) -> None:
        self._job = None
        self._says_all = found is None
        if found is None:
            self._about.setText("A segdesk model; it says everything itself.")
            self._hide_form()
        else:
            notes = "".join(f"\n• {note}" for note in found.notes)
            self._about.setText(_FORMATS[found.format] + notes)
            form = ImportForm.of(found.contract)
            self._form = form if form.name else form.changed(name=suggested_name(self._source))
            with self._filling():
                for name, field in self.fields.items():
                    _set_text(field, getattr(self._form, name))
        self._set_ready(ready=True)
        self._check()

    def _start(self) -> None:
        request = ImportRequest(self._source, self._models)
        if not self._says_all:
            request = ImportRequest(self._source, self._models, declared=self.form.contract)

        def work(report: Progress) -> ModelFolder:
            return self._importer(request, report)

        self._set_ready(ready=False)
        self._problem.setText("")
        self._run(Task(f"Importing {self._source.name}", Lane.CPU, work, self._done))

    def _done(self, model: ModelFolder) -> None:
        self._job = None
        self.imported.emit(model)
        self.accept()

    def _run(self, task: Task[FoundModel | None] | Task[ModelFolder]) -> None:
        self._job = self._jobs.start(task, on_error=self._fail)

    def _fail(self, error: Exception) -> None:
        self._job = None
        told = error.message if isinstance(error, SegdeskError) else "The import failed; see the log."
        can_try_again = self._says_all or self._form != ImportForm()
        self._set_ready(ready=can_try_again)
        if not can_try_again:
            # What could not even be looked into cannot be completed by hand either.
            self._about.setText(f"{self._source.name} was not imported.")
            self._hide_form()
            self._ok.hide()
            self.buttons.button(QDialogButtonBox.StandardButton.Cancel).setText("Close")
        self._tell(told, Role.ERROR)

    def _tell(self, text: str, role: Role) -> None:
        self._problem.setText(text)
        set_role(self._problem, role)

    def _hide_form(self) -> None:
        self._body.hide()
        self.resize(self.width(), self.minimumSizeHint().height())

    def _check(self) -> None:
        if not self._is_filling:
            problem = self.problem
            # What is not said yet is no mistake of whoever has only begun.
            is_gap = not self._says_all and problem == self.form.gap
            self._tell(problem, Role.MUTED if is_gap else Role.ERROR)
            self._ok.setEnabled(not problem and self._body.isEnabled())

    def _set_ready(self, *, ready: bool) -> None:
        self._body.setEnabled(ready)
        self._ok.setEnabled(ready)

    def _end(self) -> None:
        if self._job is not None:
            self._job.cancel()

    @contextmanager
    def _filling(self) -> Iterator[None]:
        self._is_filling = True
        yield
        self._is_filling = False

    def _listen(self) -> None:
        for field in self.fields.values():
            if isinstance(field, QComboBox):
                field.currentIndexChanged.connect(self._check)
            else:
                field.textChanged.connect(self._check)

    def _lay_out(self) -> None:
        inner = QWidget()
        form = QFormLayout(inner)
        form.setHorizontalSpacing(2 * GRID_PX)
        form.setVerticalSpacing(GRID_PX)
        for name, title in _TITLES.items():
            form.addRow(title, self.fields[name])
        self._body.setWidget(inner)
        self._body.setWidgetResizable(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * GRID_PX, 3 * GRID_PX, 3 * GRID_PX, 2 * GRID_PX)
        layout.setSpacing(2 * GRID_PX)
        for widget in (self._about, self._body, self._problem, self.buttons):
            layout.addWidget(widget, 1 if widget is self._body else 0)


_TITLES = {
    "name": "Name",
    "title": "What it draws",
    "labels": "Labels",
    "channels": "Channels",
    "dimensions": "Dimensions",
    "network": "Network",
    "numbers": "Network settings",
    "axis_order": "Order of axes",
    "spacing": "Voxel size k j i, mm",
    "patch": "Window k j i, voxels",
    "orientation": "Orientation",
    "dataset": "Trained on",
    "licence": "Licence",
}
_TIPS = {
    **{name: FIELD_HELP[name] for name in ("name", "labels", "channels", "dimensions", "network", "axis_order")},
    "title": "One line that the list of models shows.",
    "numbers": "The parameters the network was built with, as JSON; they must give the shapes of the weights.",
    "spacing": FIELD_HELP["spacing_kji_mm"],
    "patch": FIELD_HELP["patch_kji"],
    "orientation": FIELD_HELP["orientation"],
    "dataset": FIELD_HELP["training"],
    "licence": FIELD_HELP["training"],
}
_PLACEHOLDERS = {
    "title": "Spleen and its lesions in portal venous CT",
    "labels": "1 spleen\n2 lesion",
    "channels": "ct: window -57 164 -57 221",
    "spacing": "1.5 0.8 0.8, or own",
    "patch": "96 96 96",
    "dataset": "Name of the data, and how many cases",
    "licence": "CC BY 4.0",
    "numbers": '{"widths": [16, 32, 64], "num_res_units": 2}',
}

_Field = QLineEdit | QPlainTextEdit | QComboBox


def _fields() -> dict[str, _Field]:
    made: dict[str, _Field] = {}
    for name in _TITLES:
        if name in _CHOICES:
            box = QComboBox()
            for value, text in _CHOICES[name]:
                box.addItem(text, value)
            made[name] = box
        elif name in ("labels", "channels"):
            lines = QPlainTextEdit()
            lines.setPlaceholderText(_PLACEHOLDERS[name])
            lines.setTabChangesFocus(True)
            lines.setFixedHeight(_LINES_PX)
            made[name] = lines
        else:
            line = QLineEdit()
            line.setPlaceholderText(_PLACEHOLDERS.get(name, ""))
            made[name] = line
        made[name].setAccessibleName(_TITLES[name])
        made[name].setToolTip(_TIPS[name])
    return made


def _text_of(field: _Field) -> str:
    if isinstance(field, QComboBox):
        return str(field.currentData())
    return field.toPlainText() if isinstance(field, QPlainTextEdit) else field.text()


def _set_text(field: _Field, text: str) -> None:
    if isinstance(field, QComboBox):
        field.setCurrentIndex(max(0, field.findData(text)))
    elif isinstance(field, QPlainTextEdit):
        field.setPlainText(text)
    else:
        field.setText(text)
        field.setCursorPosition(0)
