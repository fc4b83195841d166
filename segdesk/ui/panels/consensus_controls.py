"""How the reads are merged: method, quorum, domain."""

from __future__ import annotations

from PySide6.QtWidgets import QComboBox, QFormLayout, QLineEdit, QSpinBox, QWidget

from segdesk.ui.bind import bind_choice, bind_spin
from segdesk.ui.models.consensus_settings import (
    DOMAIN_WORDS,
    METHOD_HELP,
    METHOD_WORDS,
    ConsensusSettings,
    Domain,
    Method,
)
from segdesk.ui.panels.section import wrapped
from segdesk.ui.theme import GRID_PX, Role


class ConsensusControls(QWidget):
    """Fields of the consensus settings; what does not apply is hidden."""

    def __init__(self, settings: ConsensusSettings) -> None:
        super().__init__()
        self._settings = settings
        self.method, self.domain = QComboBox(), QComboBox()
        self.quorum, self.margin = QLineEdit(), QSpinBox()
        self._help, self._problem = wrapped("", Role.MUTED), wrapped("", Role.ERROR)
        for method in Method:
            self.method.addItem(METHOD_WORDS[method], method)
        for domain in Domain:
            self.domain.addItem(DOMAIN_WORDS[domain], domain)
        self.domain.setToolTip("Where kappa, alpha and STAPLE look; the whole image inflates every kappa")
        bind_choice(self.method, settings.method)
        bind_choice(self.domain, settings.domain)
        bind_spin(self.margin, settings.margin)
        self.quorum.setText(settings.quorum.value)
        self.quorum.textEdited.connect(self._take_quorum)
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setHorizontalSpacing(2 * GRID_PX)
        self._form.setVerticalSpacing(GRID_PX)
        self._form.addRow("Method", self.method)
        self._form.addRow(self._help)
        self._form.addRow("Quorum", self.quorum)
        self._form.addRow(self._problem)
        self._form.addRow("Domain", self.domain)
        self._form.addRow("Margin", self.margin)
        settings.changed.connect(self.refresh)
        self.refresh()

    @property
    def problem(self) -> str:
        """What is wrong with the settings, as shown."""
        return self._problem.text()

    def refresh(self) -> None:
        """Show what applies to the method."""
        method = self._settings.method.value
        problem = self._settings.problem()
        self._help.setText(METHOD_HELP[method])
        self._problem.setText(problem)
        self._form.setRowVisible(self.quorum, method is Method.QUORUM)
        self._form.setRowVisible(self._problem, bool(problem))
        self._form.setRowVisible(self.margin, self._settings.domain.value is Domain.UNION)

    def _take_quorum(self, text: str) -> None:
        self._settings.quorum.value = text
