"""The judgement of a draft: which of its labels to accept, and how large they are."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from segdesk.session import Candidate, Session
from segdesk.ui.actions import Act, Actions
from segdesk.ui.models.label_counts import volume_text
from segdesk.ui.panels.section import wrapped
from segdesk.ui.panels.swatch import Swatch
from segdesk.ui.theme import GRID_PX, Role, set_role

_ALL_TEXT = "All ticked: the draft replaces what the region holds. One undo step."
_SOME_TEXT = "Only the ticked labels change; the others keep what they have. One undo step."


class JudgeDraft(QWidget):
    """Tick boxes for the labels of the candidate, accept and reject.

    Parameters
    ----------
    session : Session
        Its drafts.
    actions : Actions
        Accept and reject.
    """

    def __init__(self, session: Session, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._drafts = session.drafts
        self.ticks: dict[int, QCheckBox] = {}
        self._rows = QWidget()
        self._grid = QGridLayout(self._rows)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(GRID_PX)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(1, 1)
        self.effect = wrapped("", Role.MUTED)
        self.accept_button = set_role(QPushButton("Accept  (Enter)"), Role.PRIMARY)
        self.accept_button.clicked.connect(actions[Act.ACCEPT_DRAFT].trigger)
        reject = QPushButton("Reject  (Esc)")
        reject.clicked.connect(actions[Act.REJECT_DRAFT].trigger)
        line = QHBoxLayout()
        line.setSpacing(GRID_PX)
        line.addWidget(self.accept_button, 1)
        line.addWidget(reject, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GRID_PX)
        column.addWidget(self._rows)
        column.addWidget(self.effect)
        column.addLayout(line)
        self._drafts.ticked.changed.connect(self._show_ticks)

    def show_candidate(self, candidate: Candidate) -> None:
        """List the labels of another candidate."""
        while (item := self._grid.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        self.ticks.clear()
        has_mm = candidate.labels.geometry.spacing_known
        for number, (value, volume) in enumerate(candidate.volumes_mm3.items()):
            name = candidate.labels.table.name_of(value)
            tick = QCheckBox(name)
            tick.setEnabled(volume > 0)
            tick.toggled.connect(self._take)
            size = set_role(QLabel(volume_text(volume, has_mm=has_mm) if volume > 0 else "not drawn"), Role.MUTED)
            colour = candidate.labels.table[value].colour_rgb if value in candidate.labels.table else (128, 128, 128)
            self._grid.addWidget(Swatch(colour), number, 0)
            self._grid.addWidget(tick, number, 1)
            self._grid.addWidget(size, number, 2, Qt.AlignmentFlag.AlignRight)
            self.ticks[value] = tick
        self._show_ticks(self._drafts.ticked.value)

    def _take(self) -> None:
        self._drafts.ticked.value = frozenset(value for value, tick in self.ticks.items() if tick.isChecked())

    def _show_ticks(self, ticked: frozenset[int]) -> None:
        for value, tick in self.ticks.items():
            tick.blockSignals(True)
            tick.setChecked(value in ticked)
            tick.blockSignals(False)
        can = {value for value, tick in self.ticks.items() if tick.isEnabled()}
        self.accept_button.setEnabled(bool(ticked) or not can)
        if not can:
            self.effect.setText("The model drew nothing here. Accepting clears the region. One undo step.")
        else:
            self.effect.setText(_ALL_TEXT if ticked >= can else _SOME_TEXT)
