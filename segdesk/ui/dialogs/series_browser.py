"""Shows what a folder holds and lets one choose what becomes a case."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from segdesk.ui.models.number_text import count
from segdesk.ui.models.series_choice import SERIES_COLUMNS, SeriesChoice, SeriesRow
from segdesk.ui.panels.section import Notes, Section, wrapped
from segdesk.ui.theme import GRID_PX, Role, set_role
from segdesk.ui.views.row_table import RowTable

_SIZE_PX = (1040, 600)
_MOST_REFUSALS = 6


class SeriesBrowserDialog(QDialog):
    """A table of series with a tick each; below, the remarks of the selected one and what was refused."""

    def __init__(self, choice: SeriesChoice, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Add images")
        self.resize(*_SIZE_PX)
        self._choice = choice
        self.table: RowTable[SeriesRow] = RowTable(SERIES_COLUMNS, is_ticked=choice.is_chosen)
        self.table.ticked.connect(self._tick)
        self.table.current_row.connect(self._show_remarks)
        self.table.set_rows(choice.rows)
        self._all = QCheckBox("All")
        self._all.clicked.connect(self._tick_all)
        self.remarks = Notes(Role.WARNING)
        self.refused = Notes(Role.ERROR)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        set_role(self.buttons.button(QDialogButtonBox.StandardButton.Ok), Role.PRIMARY)
        self._lay_out()
        choice.changed.connect(self._refresh)
        self._refresh()
        self._show_remarks(None)

    @property
    def refusal_texts(self) -> tuple[str, ...]:
        """What is said about images that cannot be opened."""
        return self.refused.texts

    def _tick(self, row: SeriesRow, chosen: bool) -> None:
        self._choice.choose(row, chosen)

    def _tick_all(self, chosen: bool) -> None:
        for row in self._choice.rows:
            self._choice.choose(row, chosen)

    def _refresh(self) -> None:
        number = len(self._choice.chosen)
        ok = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        ok.setText(f"Add {count(number, 'case')}" if number else "Nothing chosen")
        ok.setEnabled(number > 0)
        self._all.setChecked(number == len(self._choice.rows) > 0)
        self.table.refresh()

    def _show_remarks(self, row: SeriesRow | None) -> None:
        if row is None:
            self.remarks.set_texts(("Select a series to read what is remarkable about it.",), Role.MUTED)
        elif row.remarks:
            self.remarks.set_texts(row.remarks, Role.WARNING)
        else:
            self.remarks.set_texts(("Nothing remarkable.",), Role.MUTED)

    def _refusals(self) -> tuple[str, ...]:
        texts = self._choice.refusals()
        more = len(texts) - _MOST_REFUSALS
        return (*texts[:_MOST_REFUSALS], f"and {more} more.") if more > 0 else texts

    def _lay_out(self) -> None:
        title = QLabel(f"{count(len(self._choice.rows), 'series', 'series')} in {self._choice.result.path.name}")
        set_role(title, Role.TITLE)
        head = QHBoxLayout()
        head.addWidget(title, 1)
        head.addWidget(self._all, 0, Qt.AlignmentFlag.AlignRight)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * GRID_PX, 3 * GRID_PX, 3 * GRID_PX, 2 * GRID_PX)
        layout.setSpacing(2 * GRID_PX)
        layout.addLayout(head)
        layout.addWidget(self.table, 1)
        layout.addWidget(Section("Remarks", self.remarks))
        refusals = self._refusals()
        self.refused.set_texts(refusals)
        if refusals:
            layout.addWidget(Section("Could not be opened", self.refused))
        skipped = self._choice.skipped_text()
        if skipped:
            layout.addWidget(wrapped(skipped, Role.MUTED))
        layout.addWidget(self.buttons)
