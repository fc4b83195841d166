"""What a model is taught with: data, starting model, time budget."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker
from PySide6.QtCore import Signal as QtSignal
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QHBoxLayout, QPushButton, QWidget

from segdesk.ui.bind import bind_spin
from segdesk.ui.models.number_text import count
from segdesk.ui.models.training_model import RunState, TrainingModel
from segdesk.ui.panels.section import Notes, ScrollColumn, Section, wrapped
from segdesk.ui.theme import GRID_PX, Role, set_role

WIDTH_PX = 304


class TeachSetup(ScrollColumn):
    """Data summary, model picker, budget, start and stop.

    Parameters
    ----------
    model : TrainingModel
        What is shown and changed.
    """

    start_asked = QtSignal()
    stop_asked = QtSignal()

    def __init__(self, model: TrainingModel) -> None:
        super().__init__(WIDTH_PX)
        self._model = model
        self._usable, self._left_out = wrapped(""), wrapped("", Role.MUTED)
        self._notes = Notes(Role.WARNING)
        self._picker = QComboBox()
        self._picker.setAccessibleName("Model to start from")
        self._picker.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._title = wrapped("", Role.MUTED)
        self._minutes = QDoubleSpinBox()
        self._minutes.setDecimals(1)
        self._minutes.setToolTip("Time of the training loop; reading the data and the final test come on top")
        self.start_button, self.stop_button = QPushButton("Start training"), QPushButton("Stop")
        set_role(self.start_button, Role.PRIMARY)
        self._hint = wrapped("", Role.MUTED)
        self.set_sections(
            Section("What it learns from", self._usable, self._left_out, self._notes),
            Section("Starts from", self._picker, self._title),
            Section("Time budget", self._minutes),
            _row(self.start_button, self.stop_button),
            self._hint,
        )
        bind_spin(self._minutes, model.minutes)
        self._picker.currentIndexChanged.connect(self._take_choice)
        self.start_button.clicked.connect(self.start_asked)
        self.stop_button.clicked.connect(self.stop_asked)
        model.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what the model says."""
        data, why_not = self._model.data, self._model.why_not_start()
        self._usable.setText(
            f"{count(data.usable, 'case')} with a reference, of {count(data.patients, 'patient')}. "
            "Test patients are kept apart by patient, once and for all."
        )
        left_out = data.left_out_text()
        self._left_out.setText(f"Left out: {left_out}." if left_out else "Nothing is left out.")
        self._notes.set_texts(data.notes())
        self._show_choices()
        self.start_button.setEnabled(not why_not)
        self.start_button.setText("Training…" if self._model.is_running else "Start training")
        self.stop_button.setEnabled(self._model.state is RunState.RUNNING)
        self._hint.setText("" if self._model.is_running else why_not)
        for widget in (self._picker, self._minutes):
            widget.setEnabled(not self._model.is_running)

    def _show_choices(self) -> None:
        blocker = QSignalBlocker(self._picker)
        references = [self._picker.itemData(row) for row in range(self._picker.count())]
        if references != [choice.reference for choice in self._model.choices]:
            self._picker.clear()
            for choice in self._model.choices:
                suffix = " · champion" if choice.is_champion else ""
                self._picker.addItem(choice.name + suffix, choice.reference)
        self._picker.setCurrentIndex(self._picker.findData(self._model.chosen.value))
        blocker.unblock()
        chosen = (c.title for c in self._model.choices if c.reference == self._model.chosen.value)
        self._title.setText(next(chosen, "No model was found; add one with “segdesk models import”."))

    def _take_choice(self, row: int) -> None:
        self._model.chosen.value = str(self._picker.itemData(row) or "")


def _row(*widgets: QWidget) -> QWidget:
    holder = QWidget()
    layout = QHBoxLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(GRID_PX)
    for position, widget in enumerate(widgets):
        layout.addWidget(widget, 2 if position == 0 else 1)
    return holder
