"""The models there are, what each is for, whether it fits the open case, and how long it will take here."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSize, Qt, QUrl
from PySide6.QtCore import Signal as QtSignal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QScrollArea,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from segdesk.core.box import Box
from segdesk.core.progress import Lane, Task
from segdesk.errors import SegdeskError
from segdesk.paths import user_models
from segdesk.session import Session, TimeEstimate
from segdesk.session.model_fit import Fit, fit_of
from segdesk.ui.dialogs.import_model import ImportModelDialog
from segdesk.ui.jobs import Job, Jobs, error_text
from segdesk.ui.models.model_page import ModelPage, ModelShelf, estimate_text, find_models, quiet_headings, verify
from segdesk.ui.panels.section import wrapped
from segdesk.ui.panels.swatch import Swatch
from segdesk.ui.theme import GRID_PX, Role, set_role
from segdesk.zoo.packing import export_zip

_SIZE_PX = (1040, 720)
_LIST_PX = 288
_HEADING_PX = 128
_CARD_LEAST_PX = 240
_FIT_ROLES = {Fit.FITS: Role.GOOD, Fit.REMARK: Role.WARNING, Fit.NOT: Role.ERROR, Fit.UNKNOWN: Role.MUTED}


class CardView(QTextBrowser):
    """A model card: text only, nothing is fetched from anywhere."""

    def loadResource(self, kind: int, name: QUrl | str) -> object:
        """Refuse every picture and link: a card comes with a model of whoever made it."""
        return None


class ModelBrowser(QDialog):
    """List with search at the left, the chosen model at the right.

    Parameters
    ----------
    session : Session
        Whose project and open case count.
    jobs : Jobs
        Reads folders, hashes, times windows.
    roi : Box, optional
        Region the estimate is for.
    device : str
        Device the estimate is for.

    Signals
    -------
    chosen : Path
        Use this model folder.
    changed
        Models came.
    """

    chosen = QtSignal(object)
    changed = QtSignal()

    def __init__(
        self,
        session: Session,
        jobs: Jobs,
        *,
        roi: Box | None = None,
        device: str = "auto",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Models")
        self.resize(*_SIZE_PX)
        self._session, self._jobs, self._roi, self._device = session, jobs, roi, device
        self._shelf = ModelShelf()
        self._wanted: Path | None = None
        self._running: list[Job] = []
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search name, label, channel")
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._fill)
        self.list = QListWidget()
        self.list.setAccessibleName("Models")
        self.list.currentItemChanged.connect(self._on_current)
        self.list.itemDoubleClicked.connect(self._use)
        self.damaged = wrapped("", Role.WARNING)
        self.title, self.identity = wrapped("", Role.TITLE), wrapped("", Role.MUTED)
        self.fit, self.reasons = wrapped(""), wrapped("", Role.MUTED)
        self.time, self.hash = wrapped("", Role.MUTED), wrapped("", Role.MUTED)
        self.facts = QGridLayout()
        self.card = CardView()
        self.card.setOpenLinks(False)
        self.problem = wrapped("", Role.ERROR)
        self.use = set_role(QPushButton("Use this model"), Role.PRIMARY)
        self.use.clicked.connect(self._use)
        self.export, self.reveal = QPushButton("Export as zip…"), QPushButton("Show the folder")
        self.export.clicked.connect(self._ask_export)
        self.reveal.clicked.connect(self._reveal)
        self.import_file, self.import_folder = QPushButton("Import file…"), QPushButton("Import folder…")
        self.import_file.clicked.connect(self._ask_file)
        self.import_folder.clicked.connect(self._ask_folder)
        self._lay_out()
        self.finished.connect(self._end)
        self._reload()

    @property
    def page(self) -> ModelPage | None:
        """The model shown."""
        item = self.list.currentItem()
        return None if item is None else item.data(Qt.ItemDataRole.UserRole)

    def choose(self, folder: Path) -> None:
        """Show a model as soon as it is found."""
        self._wanted = folder
        self._fill()

    def _lay_out(self) -> None:
        left = QVBoxLayout()
        left.setSpacing(GRID_PX)
        for widget in (self.search, self.list, self.damaged):
            left.addWidget(widget)
        imports = QHBoxLayout()
        imports.setSpacing(GRID_PX)
        imports.addWidget(self.import_file)
        imports.addWidget(self.import_folder)
        left.addLayout(imports)
        side = QWidget()
        side.setFixedWidth(_LIST_PX)
        side.setLayout(left)
        left.setContentsMargins(0, 0, 0, 0)
        self.list.setWordWrap(True)
        self.list.setSpacing(2)
        self.facts.setHorizontalSpacing(2 * GRID_PX)
        self.facts.setVerticalSpacing(GRID_PX)
        self.facts.setColumnMinimumWidth(0, _HEADING_PX)
        self.facts.setColumnStretch(1, 1)
        inner = QWidget()
        page = QVBoxLayout(inner)
        page.setContentsMargins(0, 0, GRID_PX, 0)
        page.setSpacing(GRID_PX)
        note = wrapped("For research use only; not a medical device.", Role.MUTED)
        for widget in (self.title, self.identity, note, self.fit, self.reasons, self.time):
            page.addWidget(widget)
        page.addLayout(self.facts)
        page.addWidget(self.hash)
        page.addWidget(set_role(QLabel("Model card"), Role.HEADING))
        self.card.setMinimumHeight(_CARD_LEAST_PX)
        page.addWidget(self.card, 1)
        area = QScrollArea()
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inner)
        buttons = QHBoxLayout()
        buttons.setSpacing(GRID_PX)
        buttons.addWidget(self.export)
        buttons.addWidget(self.reveal)
        buttons.addStretch()
        close = QPushButton("Close")
        close.clicked.connect(self.reject)
        buttons.addWidget(close)
        buttons.addWidget(self.use)
        right = QVBoxLayout()
        right.setSpacing(GRID_PX)
        right.addWidget(area, 1)
        right.addWidget(self.problem)
        right.addLayout(buttons)
        row = QHBoxLayout(self)
        row.setContentsMargins(2 * GRID_PX, 2 * GRID_PX, 2 * GRID_PX, 2 * GRID_PX)
        row.setSpacing(3 * GRID_PX)
        row.addWidget(side)
        row.addLayout(right, 1)

    def _reload(self) -> None:
        project = self._session.project
        task = find_models(None if project is None else project.models_folder)
        self._start(task).succeeded.connect(self._on_shelf)

    def _on_shelf(self, shelf: ModelShelf) -> None:
        self._shelf = shelf
        self.damaged.setText("\n".join(f"Cannot be used: {text}" for text in shelf.damaged))
        self.damaged.setVisible(bool(shelf.damaged))
        self._fill()

    def _fill(self) -> None:
        before = self._wanted or (None if self.page is None else self.page.folder.path)
        pages = self._shelf.matching(self.search.text())
        self.list.blockSignals(True)
        self.list.clear()
        channels = None if self._session.case is None else self._session.case.channels
        for page in pages:
            spec = page.spec
            fit = fit_of(spec, channels, self._roi).fit
            mark = {Fit.NOT: "does not fit", Fit.REMARK: "see remark", Fit.FITS: "fits"}.get(fit, "")
            item = QListWidgetItem(
                " · ".join(part for part in (f"{spec.identity}\n{spec.dimensions}D", page.place, mark) if part)
            )
            item.setData(Qt.ItemDataRole.UserRole, page)
            item.setToolTip(spec.title)
            item.setSizeHint(QSize(0, 44))
            self.list.addItem(item)
        paths = [page.folder.path for page in pages]
        self.list.setCurrentRow(paths.index(before) if before in paths else 0 if paths else -1)
        self.list.blockSignals(False)
        self._on_current()

    def _on_current(self) -> None:
        page = self.page
        for button in (self.use, self.export, self.reveal):
            button.setEnabled(page is not None)
        self.problem.setText("")
        if page is None:
            self.title.setText("No model matches" if self._shelf.pages else "Looking for models…")
            for label in (self.identity, self.fit, self.reasons, self.time, self.hash):
                label.setText("")
            self.card.clear()
            self._show_facts(None)
            return
        self._show(page)

    def _show(self, page: ModelPage) -> None:
        spec, case = page.spec, self._session.case
        self.title.setText(spec.title)
        self.identity.setText(f"{spec.identity} · made {spec.created:%Y-%m-%d}")
        found = fit_of(spec, None if case is None else case.channels, self._roi)
        self.fit.setText(found.fit.value)
        set_role(self.fit, _FIT_ROLES[found.fit])
        self.reasons.setText("\n".join(found.reasons))
        self.reasons.setVisible(bool(found.reasons))
        self._show_facts(page)
        self.card.setMarkdown(quiet_headings(page.card) or "This model has no card.")
        self.hash.setText(f"SHA-256 {page.folder.sha256[:16]}…: being checked")
        self._start(verify(page.folder)).succeeded.connect(lambda problem: self._show_hash(page, problem))
        self.time.setText("")
        if found.fit in (Fit.FITS, Fit.REMARK) and self._session.heat.is_available:
            self._estimate(page)

    def _show_facts(self, page: ModelPage | None) -> None:
        while (item := self.facts.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        if page is None:
            return
        rows: list[tuple[str, QWidget]] = [("Draws", _labels(page)), *((h, wrapped(t)) for h, t in page.facts)]
        for number, (heading, widget) in enumerate(rows):
            label = set_role(QLabel(heading), Role.MUTED)
            self.facts.addWidget(label, number, 0, Qt.AlignmentFlag.AlignTop)
            self.facts.addWidget(widget, number, 1)

    def _show_hash(self, page: ModelPage, problem: str) -> None:
        if self.page is page:
            self.hash.setText(problem or f"SHA-256 {page.folder.sha256[:16]}…: the weights are those of model.json")
            set_role(self.hash, Role.ERROR if problem else Role.GOOD)
            self.use.setEnabled(not problem)

    def _estimate(self, page: ModelPage) -> None:
        self.time.setText("Measuring how long it will take here…")
        try:
            task = self._session.heat.estimate(page.folder.path, roi=self._roi, device=self._device)
        except SegdeskError as error:
            self.time.setText(error.message)
            return
        job = self._jobs.start(task, on_error=lambda error: self._show_time(page, error_text(error)))
        self._keep(job)
        job.succeeded.connect(lambda estimate: self._show_estimate(page, estimate))

    def _show_estimate(self, page: ModelPage, estimate: TimeEstimate) -> None:
        self._show_time(page, estimate_text(estimate))

    def _show_time(self, page: ModelPage, text: str) -> None:
        if self.page is page:
            self.time.setText(text)

    def _use(self) -> None:
        if self.page is not None and self.use.isEnabled():
            self.chosen.emit(self.page.folder.path)
            self.accept()

    def _reveal(self) -> None:
        if self.page is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.page.folder.path)))

    def _ask_export(self) -> None:
        page = self.page
        if page is None:
            return
        name, _ = QFileDialog.getSaveFileName(self, "Export the model", f"{page.spec.name}.zip", "Zip archive (*.zip)")
        if name:
            self.export_to(page, Path(name))

    def export_to(self, page: ModelPage, path: Path) -> None:
        """Write a model as a zip; the file dialog has asked about replacing it."""
        task = Task(f"Exporting {page.spec.name}", Lane.DISK, lambda _: export_zip(page.folder, path, overwrite=True))
        self._start(task)

    def _ask_file(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Import a model: zip or weights")
        if name:
            self.import_from(Path(name))

    def _ask_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Import a model folder: segdesk, MONAI bundle, nnU-Net v2")
        if name:
            self.import_from(Path(name))

    def import_from(self, source: Path) -> None:
        """Look into a foreign model and ask for what it does not say."""
        project = self._session.project
        target = user_models() if project is None else project.models_folder
        dialog = ImportModelDialog(source, target, self._jobs, parent=self)
        dialog.imported.connect(self._on_imported)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _on_imported(self, model: object) -> None:
        self._wanted = getattr(model, "path", None)
        self.changed.emit()
        self._reload()

    def _start(self, task: Task[ModelShelf] | Task[str] | Task[None]) -> Job:
        return self._keep(self._jobs.start(task, on_error=self._show_error))

    def _keep(self, job: Job) -> Job:
        self._running.append(job)
        job.finished.connect(lambda: self._running.remove(job))
        return job

    def _show_error(self, error: Exception) -> None:
        self.problem.setText(error_text(error))

    def _end(self) -> None:
        for job in self._running:
            job.cancel()


def _labels(page: ModelPage) -> QWidget:
    """Return the labels with their colours, below each other; a long list goes on in a sentence."""
    widget = QWidget()
    grid = QGridLayout(widget)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(GRID_PX)
    grid.setVerticalSpacing(2)
    grid.setColumnStretch(1, 1)
    for number, (name, colour) in enumerate(page.labels[:_LABELS_SHOWN]):
        grid.addWidget(Swatch(colour), number, 0)
        grid.addWidget(QLabel(name), number, 1)
    rest = page.labels[_LABELS_SHOWN:]
    if rest:
        grid.addWidget(wrapped("and " + ", ".join(name for name, _ in rest), Role.MUTED), _LABELS_SHOWN, 1)
    return widget


_LABELS_SHOWN = 12
