"""Name, folder and number of readers of a new project."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from segdesk.ui.panels.section import wrapped
from segdesk.ui.theme import GRID_PX, Role, set_role

DEFAULT_READS = 3
"""Readers a case needs: the least that gives a majority."""

_MOST_READS = 99
_WIDTH_PX = 520


@dataclass(frozen=True, slots=True)
class NewProject:
    """What was entered."""

    folder: Path
    name: str
    required_reads: int = DEFAULT_READS


class NewProjectDialog(QDialog):
    """Asks for what a project needs; says at once why something will not do.

    Parameters
    ----------
    place : Path
        Folder in which the project's folder is proposed.
    """

    def __init__(self, place: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("New project")
        self.setMinimumWidth(_WIDTH_PX)
        self.name, self.place = QLineEdit("Segmentation"), QLineEdit(str(place))
        self.reads = QSpinBox()
        self.reads.setRange(1, _MOST_READS)
        self.reads.setValue(DEFAULT_READS)
        self.reads.setToolTip("A case stays blind until this many have submitted their read.")
        browse = QPushButton("Choose…")
        browse.clicked.connect(self._browse)
        self._where = wrapped("", Role.MUTED)
        self._problem = wrapped("", Role.ERROR)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        ok = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        ok.setText("Create")
        set_role(ok, Role.PRIMARY)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self._lay_out(browse)
        for field in (self.name, self.place):
            field.textChanged.connect(self._check)
        self._check()

    @property
    def entered(self) -> NewProject:
        """The values as they stand."""
        name = self.name.text().strip()
        folder = Path(self.place.text().strip()).expanduser() / _folder_name(name)
        return NewProject(folder, name, self.reads.value())

    @property
    def problem(self) -> str:
        """Why the project cannot be made, "" when it can."""
        if not self.name.text().strip():
            return "A project needs a name."
        if not self.place.text().strip():
            return "Choose the folder in which the project's own folder is made."
        folder = self.entered.folder
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            return "There is something of this name already; choose another name, or open it."
        return ""

    def _check(self) -> None:
        self._problem.setText(self.problem)
        self._where.setText(f"Everything is kept in {self.entered.folder}. Images stay where they are.")
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(not self.problem)

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder for the project", self.place.text())
        if chosen:
            self.place.setText(chosen)

    def _lay_out(self, browse: QPushButton) -> None:
        row = QHBoxLayout()
        row.setSpacing(GRID_PX)
        row.addWidget(self.place, 1)
        row.addWidget(browse)
        form = QFormLayout()
        form.setHorizontalSpacing(2 * GRID_PX)
        form.setVerticalSpacing(GRID_PX)
        form.addRow("Name", self.name)
        form.addRow("Folder", row)
        form.addRow("Readers per case", self.reads)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * GRID_PX, 3 * GRID_PX, 3 * GRID_PX, 2 * GRID_PX)
        layout.setSpacing(2 * GRID_PX)
        layout.addLayout(form)
        layout.addWidget(self._where)
        layout.addWidget(self._problem)
        layout.addWidget(self.buttons)


def _folder_name(name: str) -> str:
    """Return the name as a folder name: what file systems refuse becomes a dash."""
    return "".join("-" if c in '<>:"/\\|?*' or ord(c) < 32 else c for c in name).strip(" .") or "project"
