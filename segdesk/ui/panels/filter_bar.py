"""Search and filters above the case list."""

from __future__ import annotations

from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QLineEdit, QPushButton, QWidget

from segdesk.ui.models.case_list_model import CaseFilter, CaseListModel
from segdesk.ui.theme import GRID_PX

_SEARCH_WIDTH_PX = 240


class FilterBar(QWidget):
    """A search field and one button per filter, each with its number of cases."""

    def __init__(self, model: CaseListModel) -> None:
        super().__init__()
        self._model = model
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search cases")
        self.search.setClearButtonEnabled(True)
        self.search.setFixedWidth(_SEARCH_WIDTH_PX)
        self.search.textChanged.connect(self._take_search)
        self._group = QButtonGroup(self)
        self.buttons = {chosen: self._button(chosen) for chosen in CaseFilter}
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(GRID_PX)
        layout.addWidget(self.search)
        for button in self.buttons.values():
            layout.addWidget(button)
        layout.addStretch()
        model.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the numbers and which filter is on."""
        for chosen, button in self.buttons.items():
            button.setText(f"{chosen.value.capitalize()}  {self._model.number_in(chosen)}")
            button.setChecked(chosen is self._model.filter)

    def _button(self, chosen: CaseFilter) -> QPushButton:
        button = QPushButton()
        button.setCheckable(True)
        button.clicked.connect(lambda checked=False: self._take_filter(chosen))
        self._group.addButton(button)
        return button

    def _take_filter(self, chosen: CaseFilter) -> None:
        self._model.filter = chosen

    def _take_search(self, words: str) -> None:
        self._model.search = words
