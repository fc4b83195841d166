"""Says how a mask file lies on the open case, and asks whose it becomes."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPixmap
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from segdesk.session.mask_fit import Relation
from segdesk.session.mask_import import MaskTarget
from segdesk.ui.icons import Glyph, glyph_pixmap
from segdesk.ui.models.mask_choice import MaskChoice
from segdesk.ui.panels.section import Notes, Section, wrapped
from segdesk.ui.theme import GRID_PX, Role, Theme, set_role

_WIDTH_PX = 600
_LABELS_PX = 148
_ICON_PX = 20
_SWATCH_PX = 14
_NAME_PX = 240

_LOOK = {
    Relation.SAME: (Glyph.VERIFIED, Role.GOOD),
    Relation.ELSEWHERE: (Glyph.WARNING, Role.WARNING),
    Relation.OTHER: (Glyph.WARNING, Role.WARNING),
    Relation.UNPLACED: (Glyph.WARNING, Role.WARNING),
    Relation.IMPOSSIBLE: (Glyph.ALERT, Role.ERROR),
}


class AddMaskDialog(QDialog):
    """Accepted when the mask shall be added as the choice says.

    Parameters
    ----------
    choice : MaskChoice
        What was found, and the choices.
    theme : Theme
        Colours of the icons.
    """

    def __init__(self, choice: MaskChoice, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Add a mask")
        self.setMinimumWidth(_WIDTH_PX)
        self.choice, self._theme = choice, theme
        self._targets = QButtonGroup(self)
        self.target_buttons: dict[MaskTarget, QRadioButton] = {}
        self.agree = QCheckBox(choice.question)
        self.agree.setVisible(bool(choice.question))
        self.agree.toggled.connect(choice.agree)
        self.reader, self.model = QComboBox(), QLineEdit(choice.found.path.name.split(".")[0])
        self._prepare_names()
        self.warnings = Notes(Role.WARNING)
        self.consequence, self.problem = wrapped("", Role.MUTED), wrapped("", Role.MUTED)
        self.add_button = set_role(QPushButton("Add"), Role.PRIMARY)
        self.add_button.setDefault(True)
        self.add_button.clicked.connect(self.accept)
        self._lay_out()
        choice.changed.connect(self._refresh)
        self.finished.connect(self._let_go)
        self._refresh()

    def _let_go(self) -> None:
        self.choice.changed.disconnect(self._refresh)

    def _refresh(self) -> None:
        choice = self.choice
        self.target_buttons[choice.target].setChecked(True)
        self.warnings.set_texts(choice.warnings)
        self.consequence.setText(choice.consequence)
        self.problem.setText(choice.problem)
        self.problem.setVisible(bool(choice.problem))
        self.add_button.setEnabled(not choice.problem)

    def _prepare_names(self) -> None:
        self.reader.setEditable(True)
        self.reader.setAccessibleName("Name of the reader")
        self.reader.addItems(list(self.choice.other_readers))
        self.reader.setCurrentText("")
        edit = self.reader.lineEdit()
        if edit is not None:
            edit.setPlaceholderText("Name of the reader")
        self.reader.currentTextChanged.connect(partial(self.choice.choose_name, MaskTarget.READER))
        self.model.setPlaceholderText("Name of the model")
        self.model.setAccessibleName("Name of the model")
        self.model.textEdited.connect(partial(self.choice.choose_name, MaskTarget.MODEL))

    def _lay_out(self) -> None:
        choice = self.choice
        column = QVBoxLayout(self)
        column.setContentsMargins(3 * GRID_PX, 2 * GRID_PX, 3 * GRID_PX, 2 * GRID_PX)
        column.setSpacing(2 * GRID_PX)
        column.addWidget(set_role(QLabel(choice.found.path.name), Role.TITLE))
        column.addWidget(self._headline())
        if choice.comparison:
            column.addWidget(self._comparison())
        column.addWidget(self.agree)
        if choice.lines:
            column.addWidget(Section("Labels", self._labels()))
        column.addWidget(self.warnings)
        targets = Section("Whose mask is it?", self._target_table(), self.consequence)
        targets.setVisible(choice.can_be_added)
        column.addWidget(targets)
        column.addWidget(self.problem)
        column.addStretch()
        cancel = QPushButton("Cancel" if choice.can_be_added else "Close")
        self.add_button.setVisible(choice.can_be_added)
        cancel.clicked.connect(self.reject)
        foot = QHBoxLayout()
        foot.setSpacing(GRID_PX)
        foot.addStretch()
        foot.addWidget(cancel)
        foot.addWidget(self.add_button)
        column.addLayout(foot)

    def _headline(self) -> QWidget:
        glyph, role = _LOOK[self.choice.relation]
        icon = QLabel()
        icon.setPixmap(glyph_pixmap(glyph, self._theme.tokens.colour(role.value), _ICON_PX, 2.0))
        icon.setFixedWidth(_ICON_PX)
        place = QWidget()
        row = QHBoxLayout(place)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GRID_PX)
        row.addWidget(icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(wrapped(self.choice.headline, role), 1)
        return place

    def _comparison(self) -> QWidget:
        rows = [("", "Mask", "Image"), *((each.name, each.mask, each.image) for each in self.choice.comparison)]
        place, grid = _grid()
        for number, texts in enumerate(rows):
            role = Role.MUTED if number == 0 else Role.WARNING if texts[1] != texts[2] else None
            for position, text in enumerate(texts):
                label = QLabel(text)
                shown = Role.MUTED if position == 0 else role
                grid.addWidget(label if shown is None else set_role(label, shown), number, position)
        return place

    def _labels(self) -> QWidget:
        place, grid = _grid()
        for position, title in enumerate(("", "In the file", "On the image")):
            grid.addWidget(set_role(QLabel(title), Role.MUTED), 0, position)
        table = self.choice.found.source.table
        for number, line in enumerate(self.choice.lines, 1):
            label = line.label
            colour = table[label.value].colour_rgb if label.value in table else (128, 128, 128)
            grid.addWidget(_named(f"{label.value}  {label.name}", colour), number, 0)
            grid.addWidget(QLabel(line.in_file), number, 1)
            after = QLabel(line.on_image)
            grid.addWidget(set_role(after, Role.WARNING) if line.is_striking else after, number, 2)
        scroll = QScrollArea()
        scroll.setWidget(place)
        scroll.setWidgetResizable(True)
        scroll.setFixedHeight(min(_LABELS_PX, place.sizeHint().height() + 2))
        return scroll

    def _target_table(self) -> QWidget:
        mine = f"Mine ({self.choice.reader_name})"
        rows: tuple[tuple[MaskTarget, str, QWidget | None], ...] = (
            (MaskTarget.MINE, mine, None),
            (MaskTarget.READER, "Another reader's", self.reader),
            (MaskTarget.MODEL, "A model's draft", self.model),
            (MaskTarget.REFERENCE, "The reference", None),
        )
        place = QWidget()
        grid = QGridLayout(place)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(2 * GRID_PX)
        grid.setVerticalSpacing(GRID_PX // 2)
        grid.setColumnStretch(2, 1)
        for number, (target, text, field) in enumerate(rows):
            button = QRadioButton(text)
            button.clicked.connect(partial(self.choice.choose_target, target))
            self._targets.addButton(button)
            self.target_buttons[target] = button
            grid.addWidget(button, number, 0)
            if field is not None:
                field.setFixedWidth(_NAME_PX)
                grid.addWidget(field, number, 1)
        return place


def _grid() -> tuple[QWidget, QGridLayout]:
    place = QWidget()
    grid = QGridLayout(place)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(3 * GRID_PX)
    grid.setVerticalSpacing(GRID_PX // 2)
    grid.setColumnStretch(2, 1)
    return place, grid


def _named(text: str, colour_rgb: tuple[int, int, int]) -> QWidget:
    swatch = QPixmap(_SWATCH_PX, _SWATCH_PX)
    swatch.fill(QColor(*colour_rgb))
    icon = QLabel()
    icon.setPixmap(swatch)
    place = QWidget()
    row = QHBoxLayout(place)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(GRID_PX)
    row.addWidget(icon)
    row.addWidget(QLabel(text), 1)
    return place
