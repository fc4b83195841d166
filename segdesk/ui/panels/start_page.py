"""The first screen: what to drop or press, and three hints."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from segdesk.ui.actions import Act, Actions
from segdesk.ui.theme import GRID_PX, Role, set_role

HINTS = (
    ("Look", "Wheel goes through the slices, right-drag zooms, middle-drag pans, left-drag sets window and level."),
    ("Draw", "B is the brush, E the eraser, Ctrl swaps them. Ctrl+Z takes back any stroke; every stroke is saved."),
    ("Decide", "P drafts with a model. When you are done, submit your read: it stays hidden until all have read."),
)
_CARD_WIDTH_PX = 232


class StartPage(QWidget):
    """Shown while no case is open.

    Parameters
    ----------
    actions : Actions
        What the buttons do.
    """

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        title = set_role(QLabel("Drop a DICOM folder here, or open the sample"), Role.TITLE)
        title.setAlignment(Qt.AlignmentFlag.AlignCenter)
        formats = set_role(QLabel("DICOM, NIfTI, NRRD, MHA, PNG and TIFF, in 2D and 3D"), Role.MUTED)
        formats.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.sample = set_role(_button(actions, Act.OPEN_SAMPLE, "Open the sample"), Role.PRIMARY)
        buttons = QHBoxLayout()
        buttons.setSpacing(GRID_PX)
        buttons.addStretch(1)
        buttons.addWidget(self.sample)
        buttons.addWidget(_button(actions, Act.OPEN_FOLDER, "Open folder…"))
        buttons.addWidget(_button(actions, Act.OPEN_FILE, "Open file…"))
        buttons.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(3 * GRID_PX, 3 * GRID_PX, 3 * GRID_PX, 3 * GRID_PX)
        column.setSpacing(2 * GRID_PX)
        column.addStretch(3)
        column.addWidget(title)
        column.addWidget(formats)
        column.addSpacing(GRID_PX)
        column.addLayout(buttons)
        column.addSpacing(4 * GRID_PX)
        column.addLayout(_hints())
        column.addStretch(4)
        note = set_role(QLabel("Research use only, not a medical device."), Role.MUTED)
        note.setAlignment(Qt.AlignmentFlag.AlignCenter)
        column.addWidget(note)


def _button(actions: Actions, name: Act, text: str) -> QPushButton:
    button = QPushButton(text)
    button.clicked.connect(actions[name].trigger)
    button.setToolTip(actions[name].toolTip())
    return button


def _hints() -> QGridLayout:
    grid = QGridLayout()
    grid.setSpacing(2 * GRID_PX)
    grid.setColumnStretch(0, 1)
    grid.setColumnStretch(len(HINTS) + 1, 1)
    for number, (title, text) in enumerate(HINTS):
        card = set_role(QFrame(), Role.CARD)
        card.setFixedWidth(_CARD_WIDTH_PX)
        column = QVBoxLayout(card)
        column.setContentsMargins(2 * GRID_PX, 2 * GRID_PX, 2 * GRID_PX, 2 * GRID_PX)
        column.setSpacing(4)
        column.addWidget(set_role(QLabel(title), Role.HEADING))
        hint = QLabel(text)
        hint.setWordWrap(True)
        hint.setAlignment(Qt.AlignmentFlag.AlignTop)
        column.addWidget(hint, 1)
        grid.addWidget(card, 0, number + 1)
    return grid
