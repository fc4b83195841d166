"""What the merge says with the present settings: voxels, readers, agreement."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from PySide6.QtCore import QSignalBlocker
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QComboBox, QSizePolicy, QVBoxLayout, QWidget

from segdesk.ui.models.agree_model import AgreeModel
from segdesk.ui.models.columns import Column
from segdesk.ui.models.merge_view import MergeView
from segdesk.ui.models.number_text import count, fixed
from segdesk.ui.models.reader_style import ReaderStyle
from segdesk.ui.panels.figures import Figure, FigureStrip
from segdesk.ui.panels.section import Notes, Section, wrapped
from segdesk.ui.theme import GRID_PX, Role
from segdesk.ui.views.matrix_view import MatrixView
from segdesk.ui.views.row_table import ROW_HEIGHT_PX, RowTable

_HEADER_PX = 36


@dataclass(frozen=True, slots=True)
class _QualityRow:
    """One reader for one label."""

    style: ReaderStyle
    sensitivity: float
    specificity: float
    others_dice: float


def _share(title: str, name: str, help_text: str, width_px: int) -> Column[_QualityRow]:
    return Column(
        title, lambda row: fixed(getattr(row, name)), lambda row: float(getattr(row, name)), is_number=True,
        help=help_text, width_px=width_px,
    )  # fmt: skip


def _tip(row: _QualityRow) -> str:
    return f"{row.style.label}\nDice against the consensus of the others: {fixed(row.others_dice)}"


_COLUMNS: tuple[Column[_QualityRow], ...] = (
    Column("Reader", lambda row: row.style.label, tip=_tip, width_px=0),
    _share("Sens.", "sensitivity", "Sensitivity: part of the merged label that the reader drew", 68),
    _share("Spec.", "specificity", "Specificity within the domain: part of the rest that the reader left out", 68),
)


class WhatIf(QWidget):
    """Voxel counts, warnings, one line per reader, and the matrix of pairs of one label."""

    def __init__(self, model: AgreeModel) -> None:
        super().__init__()
        self._model = model
        self.figures = FigureStrip()
        self.agreement = wrapped("", Role.MUTED)
        self.warnings = Notes(Role.WARNING)
        self.label = QComboBox()
        self.label.setAccessibleName("Label")
        self.label.currentIndexChanged.connect(self._show_label)
        self.readers: RowTable[_QualityRow] = RowTable(
            _COLUMNS, lambda row: QColor(*row.style.colour_rgb), is_ticked=self._is_shown
        )
        self.readers.setToolTip("Ticked readers are drawn in the views")
        self.readers.ticked.connect(self._tick)
        self.matrix = MatrixView()
        self.pairs = wrapped("", Role.MUTED)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * GRID_PX)
        layout.addWidget(Section("With these settings", self.figures, self.agreement, self.warnings))
        layout.addWidget(Section("Readers", self.label, self.readers))
        layout.addWidget(Section("Dice of every pair", self.matrix, self.pairs))
        layout.addStretch()
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        model.changed.connect(self.refresh)
        model.hidden.changed.connect(self._on_hidden)
        self.refresh()

    def refresh(self) -> None:
        """Show what the model says."""
        view = self._model.view
        self.setVisible(view is not None)
        if view is None:
            return
        self.figures.set_figures(_figures(view))
        self.agreement.setText(_agreement_text(view))
        self.warnings.set_texts(view.warnings)
        self._show_labels(view)
        self._show_label()

    def _show_labels(self, view: MergeView) -> None:
        values = [self.label.itemData(row) for row in range(self.label.count())]
        if values != [each.value for each in view.labels]:
            blocker = QSignalBlocker(self.label)
            self.label.clear()
            for each in view.labels:
                self.label.addItem(each.name, each.value)
            blocker.unblock()
        self.label.setVisible(len(view.labels) > 1)

    def _show_label(self) -> None:
        view, value = self._model.view, self.label.currentData()
        agreement = None if view is None else next((each for each in view.labels if each.value == value), None)
        if view is None or agreement is None:
            self.readers.set_rows(())
            self.matrix.set_matrix((), ())
            self.pairs.setText("All readers left the image empty: they agree.")
            return
        styles = {style.name: style for style in self._model.readers}
        self.readers.set_rows(
            [
                _QualityRow(
                    styles[each.name],
                    _of(each.sensitivity, value),
                    _of(each.specificity, value),
                    _of(each.leave_one_out_dice, value),
                )
                for each in view.readers
            ]
        )
        self.readers.setFixedHeight(_HEADER_PX + ROW_HEIGHT_PX * len(view.readers))
        self.matrix.set_matrix([styles[name].label for name in view.names], agreement.matrix)
        self.pairs.setText(
            f"Mean {fixed(agreement.mean_dice)}, least {fixed(agreement.least_dice)}, "
            f"conformity index {fixed(agreement.gci)}."
        )

    def _is_shown(self, row: _QualityRow) -> bool:
        return row.style.name not in self._model.hidden.value

    def _tick(self, row: _QualityRow, shown: bool) -> None:
        self._model.show_reader(row.style.name, shown)

    def _on_hidden(self, hidden: object) -> None:
        self.readers.refresh()


def _of(values: Mapping[int, float], value: int) -> float:
    return values.get(value, math.nan)


def _figures(view: MergeView) -> list[Figure]:
    return [
        Figure(_thousands(view.consensus_voxels), "agreed voxels", "Voxels that carry a label after the merge"),
        Figure(_thousands(view.disputed_voxels), "disputed", "Voxels on which the readers are not unanimous"),
        Figure(
            _thousands(view.undecided_voxels),
            "undecided",
            "Voxels which no label won: background in the mask, and for an adjudicator to decide",
        ),
    ]


def _thousands(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _agreement_text(view: MergeView) -> str:
    readers = count(len(view.names), "reader")
    alpha = f"Krippendorff’s alpha {fixed(view.alpha)}, Fleiss’ kappa {fixed(view.kappa)}"
    return f"{alpha}; {readers}, {view.domain}."
