"""Exports the mask or the image of the open case."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPixmap
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QDialog,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from segdesk.core.labels import Label
from segdesk.errors import SegdeskError
from segdesk.session import Session
from segdesk.session.export import ExportContent, ExportReceipt
from segdesk.session.export_formats import ExportFormat, FormatOffer
from segdesk.ui.jobs import Job, Jobs, error_text
from segdesk.ui.models.export_model import ExportModel, receipt_text
from segdesk.ui.panels.section import Notes, Section, wrapped
from segdesk.ui.theme import GRID_PX, Role, set_role

_WIDTH_PX = 640
_LABELS_PX = 132
_SWATCH_PX = 14
_FORMAT_PX = 216
_VALUE_ROLE = int(Qt.ItemDataRole.UserRole)


class ExportDialog(QDialog):
    """Stays open after an export, with what came of it.

    Parameters
    ----------
    session : Session
        With an open case.
    jobs : Jobs
        Writes and reads back.
    model : ExportModel
        The choices.
    """

    def __init__(self, session: Session, jobs: Jobs, model: ExportModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Export")
        self.setMinimumWidth(_WIDTH_PX)
        self._session, self._jobs, self.model = session, jobs, model
        self._job: Job | None = None
        self._contents, self._formats = QButtonGroup(self), QButtonGroup(self)
        self.format_buttons: dict[ExportFormat, QRadioButton] = {}
        self._reasons: dict[ExportFormat, QLabel] = {}
        self.labels = self._label_list()
        self.straighten = QCheckBox(
            "Straighten: resample onto a right-angled grid (labels nearest, intensities linear)"
        )
        self.straighten.setVisible(model.can_straighten)
        self.straighten.toggled.connect(model.straighten)
        self.path = QLineEdit(str(model.path))
        self.path.setAccessibleName("File")
        self.path.textEdited.connect(model.choose_path)
        self.replace = QCheckBox("Replace the file that is there")
        self.replace.toggled.connect(model.allow_overwrite)
        self.remarks = Notes(Role.WARNING)
        self.problem = wrapped("", Role.MUTED)
        self.outcome = wrapped("", Role.GOOD)
        self._lay_out()
        model.changed.connect(self._refresh)
        self.finished.connect(self._let_go)
        self._refresh()

    def export(self) -> None:
        """Write the file."""
        self.outcome.hide()
        try:
            task = self._session.export.write(self.model.order)
        except SegdeskError as error:
            self._show_error(error)
            return
        self._job = self._jobs.start(task, on_error=self._show_error)
        self._job.succeeded.connect(self._on_written)
        self._job.finished.connect(self._on_finished)
        self._refresh()

    def _on_written(self, receipt: ExportReceipt) -> None:
        self._say(receipt_text(receipt), Role.GOOD)
        self.model.note_written()

    def _on_finished(self) -> None:
        self._job = None
        self._refresh()

    def _show_error(self, error: Exception) -> None:
        self._say(error_text(error), Role.ERROR)

    def _say(self, text: str, role: Role) -> None:
        self.outcome.setText(text)
        set_role(self.outcome, role)
        self.outcome.show()

    def _let_go(self) -> None:
        self.model.changed.disconnect(self._refresh)

    def _refresh(self) -> None:
        model = self.model
        for offer in model.offers:
            self._show_offer(offer)
        self._label_section.setVisible(model.content is ExportContent.MASK and bool(model.labels))
        if self.path.text() != str(model.path) and not self.path.hasFocus():
            self.path.setText(str(model.path))
        self.replace.setVisible(model.exists)
        self.replace.blockSignals(True)
        self.replace.setChecked(model.overwrite)
        self.replace.blockSignals(False)
        self.remarks.set_texts(model.offer.remarks)
        self.problem.setText(model.problem if self.outcome.isHidden() else "")
        self.problem.setVisible(bool(self.problem.text()))
        self.export_button.setText("Writing…" if self._job is not None else "Replace" if model.overwrite else "Export")
        self.export_button.setEnabled(not model.problem and self._job is None)

    def _show_offer(self, offer: FormatOffer) -> None:
        button, reason = self.format_buttons[offer.format], self._reasons[offer.format]
        button.setEnabled(offer.is_possible)
        button.setChecked(offer.format is self.model.format and offer.is_possible)
        reason.setText(offer.refusal)

    def _take_labels(self, item: QListWidgetItem) -> None:
        self.outcome.hide()
        items = [self.labels.item(row) for row in range(self.labels.count())]
        ticked = (each.data(_VALUE_ROLE) for each in items if each.checkState() is Qt.CheckState.Checked)
        self.model.choose_values(frozenset(ticked))

    def _choose_file(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(
            self, "Export to", str(self.model.path), options=QFileDialog.Option.DontConfirmOverwrite
        )
        if chosen:
            self.outcome.hide()
            self.model.choose_path(chosen)
            self.path.setText(chosen)

    def _take_content(self, content: ExportContent) -> None:
        self.outcome.hide()
        self.model.choose_content(content)

    def _take_format(self, chosen: ExportFormat) -> None:
        self.outcome.hide()
        self.model.choose_format(chosen)

    def _label_list(self) -> QListWidget:
        labels = QListWidget()
        labels.setAccessibleName("Labels to include")
        labels.setFixedHeight(min(_LABELS_PX, 2 * GRID_PX + 24 * max(1, len(self.model.labels))))
        for label in self.model.labels:
            labels.addItem(_label_item(label))
        labels.itemChanged.connect(self._take_labels)
        return labels

    def _content_row(self) -> QWidget:
        place = QWidget()
        row = QHBoxLayout(place)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(3 * GRID_PX)
        rater = self._session.rater.value
        whose = "" if rater is None else f" of {rater.name}"
        for content, text in ((ExportContent.MASK, f"Mask{whose}"), (ExportContent.IMAGE, "Image")):
            button = QRadioButton(text)
            button.setChecked(content is self.model.content)
            button.clicked.connect(partial(self._take_content, content))
            self._contents.addButton(button)
            row.addWidget(button)
        row.addStretch()
        return place

    def _format_table(self) -> QWidget:
        place = QWidget()
        grid = QGridLayout(place)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(GRID_PX)
        grid.setVerticalSpacing(GRID_PX // 2)
        grid.setColumnMinimumWidth(0, _FORMAT_PX)
        grid.setColumnStretch(1, 1)
        for number, offer in enumerate(self.model.offers):
            button = QRadioButton(f"{offer.format.words}  {offer.format.suffix}")
            button.clicked.connect(partial(self._take_format, offer.format))
            self._formats.addButton(button)
            reason = wrapped("", Role.MUTED)
            grid.addWidget(button, number, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(reason, number, 1)
            self.format_buttons[offer.format], self._reasons[offer.format] = button, reason
        return place

    def _lay_out(self) -> None:
        choose = QPushButton("Choose…")
        choose.clicked.connect(self._choose_file)
        file_row = QWidget()
        row = QHBoxLayout(file_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GRID_PX)
        row.addWidget(self.path, 1)
        row.addWidget(choose)
        self._label_section = Section("Labels", self.labels)
        self.export_button = set_role(QPushButton("Export"), Role.PRIMARY)
        self.export_button.setDefault(True)
        self.export_button.clicked.connect(self.export)
        close = QPushButton("Close")
        close.clicked.connect(self.reject)
        foot = QHBoxLayout()
        foot.setSpacing(GRID_PX)
        foot.addStretch()
        foot.addWidget(close)
        foot.addWidget(self.export_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(3 * GRID_PX, 2 * GRID_PX, 3 * GRID_PX, 2 * GRID_PX)
        column.setSpacing(2 * GRID_PX)
        column.addWidget(Section("What", self._content_row()))
        column.addWidget(self._label_section)
        column.addWidget(Section("Format", self._format_table(), self.straighten, self.remarks))
        column.addWidget(Section("File", file_row, self.replace))
        column.addWidget(self.problem)
        column.addWidget(self.outcome)
        column.addStretch()
        column.addLayout(foot)
        self.outcome.hide()


def _label_item(label: Label) -> QListWidgetItem:
    swatch = QPixmap(_SWATCH_PX, _SWATCH_PX)
    swatch.fill(QColor(*label.colour_rgb))
    item = QListWidgetItem(swatch, f"{label.value}  {label.name}")
    item.setData(_VALUE_ROLE, label.value)
    item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsSelectable)
    item.setCheckState(Qt.CheckState.Checked)
    return item
