"""Champion against challenger, the decision, and the lineage of models."""

from __future__ import annotations

from PySide6.QtCore import Signal as QtSignal
from PySide6.QtWidgets import QFrame, QLabel, QPushButton, QVBoxLayout

from segdesk.ui.models.columns import Column
from segdesk.ui.models.model_listing import LineageRow
from segdesk.ui.models.number_text import UNDEFINED, count, fixed, signed
from segdesk.ui.models.training_events import HEADLINES, GateResult, Verdict
from segdesk.ui.models.training_model import TrainingModel
from segdesk.ui.panels.figures import Figure, FigureStrip
from segdesk.ui.panels.section import Notes, ScrollColumn, Section, wrapped
from segdesk.ui.theme import GRID_PX, Role, set_role
from segdesk.ui.views.row_table import RowTable

WIDTH_PX = 320

_ROLES = {
    Verdict.BETTER: Role.GOOD,
    Verdict.TIE: Role.MUTED,
    Verdict.WORSE: Role.ERROR,
    Verdict.CANNOT_JUDGE: Role.WARNING,
}

_BEGAN = "The reference of {} began as a model’s own draft: these scores are too good."

_LINEAGE_COLUMNS: tuple[Column[LineageRow], ...] = (
    Column("Model", lambda row: row.name, tip=lambda row: _lineage_tip(row), width_px=0),
    Column("Verdict", lambda row: "champion" if row.is_champion else verdict_word(row.verdict), width_px=112),
)


class VerdictCard(ScrollColumn):
    """The gate's result in plain words, with promote and roll back, and the models so far."""

    promote_asked = QtSignal()
    roll_back_asked = QtSignal()

    def __init__(self, model: TrainingModel) -> None:
        super().__init__(WIDTH_PX)
        self._model = model
        self._card = QFrame()
        set_role(self._card, Role.CARD)
        self._headline, self._reason = QLabel(), wrapped("")
        self._headline.setWordWrap(True)
        self._figures = FigureStrip()
        self._difference, self._cases = wrapped("", Role.MUTED), wrapped("", Role.MUTED)
        layout = QVBoxLayout(self._card)
        layout.setContentsMargins(2 * GRID_PX, 2 * GRID_PX, 2 * GRID_PX, 2 * GRID_PX)
        layout.setSpacing(GRID_PX)
        self._began = Notes(Role.WARNING)
        for part in (self._headline, self._reason, self._figures, self._difference, self._cases, self._began):
            layout.addWidget(part)
        self.promote_button = QPushButton("Promote the challenger")
        self.roll_back_button = QPushButton("Roll back to the champion before")
        set_role(self.promote_button, Role.PRIMARY)
        self.promote_button.clicked.connect(self.promote_asked)
        self.roll_back_button.clicked.connect(self.roll_back_asked)
        self.lineage: RowTable[LineageRow] = RowTable(_LINEAGE_COLUMNS)
        self.lineage.setMinimumHeight(160)
        self._no_lineage = wrapped("No model has been made or promoted in this project yet.", Role.MUTED)
        self.set_sections(
            Section("Champion and challenger", self._card, self.promote_button, self.roll_back_button),
            Section("Models of this project", self.lineage, self._no_lineage),
        )
        model.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what the model says."""
        self._show_result(self._model.story.result)
        for button, why_not in (
            (self.promote_button, self._model.why_not_promote()),
            (self.roll_back_button, self._model.why_not_roll_back()),
        ):
            button.setEnabled(not why_not)
            button.setToolTip(why_not)
        self.lineage.set_rows(self._model.lineage)
        self.lineage.setVisible(bool(self._model.lineage))
        self._no_lineage.setVisible(not self._model.lineage)

    @property
    def headline(self) -> str:
        """The verdict as shown."""
        return self._headline.text()

    @property
    def reason(self) -> str:
        """Why, as shown."""
        return self._reason.text()

    def _show_result(self, result: GateResult | None) -> None:
        for part in (self._figures, self._difference, self._cases, self._began):
            part.setVisible(result is not None)
        if result is None:
            self._headline.setText("No challenger yet")
            set_role(self._headline, Role.MUTED)
            self._reason.setText(
                "When training ends, the new model and the champion are compared on patients neither has seen. "
                "The champion stays unless the new one is not worse."
            )
            return
        self._headline.setText(result.headline)
        set_role(self._headline, _ROLES[result.verdict])
        self._reason.setText(result.reason)
        self._figures.set_figures(
            [Figure(fixed(result.champion_dice), "champion"), Figure(fixed(result.challenger_dice), "challenger")]
        )
        self._difference.setText(_difference_text(result))
        self._cases.setText(_cases_text(result))
        began = count(len(result.began_as_model), "test case")
        self._began.set_texts([_BEGAN.format(began)] if result.began_as_model else [])


def _lineage_tip(row: LineageRow) -> str:
    parent = f", from {row.parent}" if row.parent else ""
    return f"{row.name}, made {row.created:%d %b %Y %H:%M}{parent}\nweights {row.weights_sha256[:12]}…"


def _cases_text(result: GateResult) -> str:
    patients = f" of {count(result.test_patients, 'patient')}" if result.test_patients else ""
    return f"Mean Dice over {count(len(result.test_cases), 'test case')}{patients}."


def _difference_text(result: GateResult) -> str:
    if result.difference is None:
        plain = result.challenger_dice - result.champion_dice
        return f"Difference {signed(plain, 3)}; no confidence interval."
    mean, low, high = result.difference
    return f"Difference {signed(mean, 3)} (95 % interval {signed(low, 3)} to {signed(high, 3)})."


def verdict_word(verdict: str) -> str:
    """Return a stored verdict in one or two words."""
    return HEADLINES_SHORT.get(verdict, verdict or UNDEFINED)


HEADLINES_SHORT = {verdict.value: verdict.value.replace("_", " ") for verdict in HEADLINES}
