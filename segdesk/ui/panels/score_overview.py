"""Mean scores per rater beside a plot of the single values."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtGui import QColor
from PySide6.QtWidgets import QHBoxLayout, QWidget

from segdesk.ui.models.columns import Column
from segdesk.ui.models.number_text import fixed
from segdesk.ui.models.score_model import ScoreModel
from segdesk.ui.models.score_rows import RaterSummary, ScoreRow
from segdesk.ui.panels.section import Section
from segdesk.ui.theme import GRID_PX
from segdesk.ui.views.dot_plot import DotGroup, DotPlot
from segdesk.ui.views.row_table import RowTable

_HEIGHT_PX = 232

_COLUMNS: tuple[Column[RaterSummary], ...] = (
    Column("Rater", lambda each: each.rater.label, width_px=0),
    Column(
        "Mean Dice",
        lambda each: each.dice_text,
        lambda each: each.mean_dice,
        lambda each: "\n".join(each.notes),
        is_number=True,
        help="Mean over the labels; n labels counted, those empty in both left out",
        width_px=192,
    ),
    Column("Mean IoU", lambda each: fixed(each.mean_iou), lambda each: each.mean_iou, is_number=True, width_px=88),
)


class ScoreOverview(QWidget):
    """A line per rater, worst first, and their Dice values as dots."""

    def __init__(self, model: ScoreModel) -> None:
        super().__init__()
        self._model = model
        self.table: RowTable[RaterSummary] = RowTable(_COLUMNS, lambda each: QColor(*each.rater.colour_rgb))
        self.plot = DotPlot("Dice, one dot a label", (0.0, 1.0))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * GRID_PX)
        layout.addWidget(Section("Raters, worst first", self.table), 1)
        layout.addWidget(self.plot, 1)
        self.setFixedHeight(_HEIGHT_PX)
        model.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what the model says."""
        self.table.set_rows(self._model.summaries)
        self.plot.set_groups(dot_groups(self._model.summaries, self._model.rows))


def dot_groups(summaries: Sequence[RaterSummary], rows: Sequence[ScoreRow]) -> list[DotGroup]:
    """Return a column of dots per rater, in the order of the summaries."""
    groups = []
    for summary in summaries:
        own = [row for row in rows if row.rater == summary.rater]
        groups.append(
            DotGroup(
                summary.rater.label,
                tuple(row.dice for row in own),
                tuple(row.label for row in own),
                summary.rater.colour_rgb,
            )
        )
    return groups
