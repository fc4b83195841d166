"""User actions as a table; menus, shortcuts, tool tips and the help sheet come from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar, QWidget

from segdesk.core.events import Property
from segdesk.ui.icons import Glyph
from segdesk.ui.theme import Theme


class Place(StrEnum):
    """The workspaces, in the order of the tabs."""

    CASES = "Cases"
    READ = "Read"
    AGREE = "Agree"
    SCORE = "Score"
    TEACH = "Teach"


class MenuName(StrEnum):
    """The menus, in their order."""

    FILE = "&File"
    EDIT = "&Edit"
    VIEW = "&View"
    TOOLS = "&Tools"
    GO = "&Go"
    HELP = "&Help"


class Act(StrEnum):
    """Names of the actions."""

    OPEN_FILE = "file.open"
    OPEN_FOLDER = "file.open_folder"
    OPEN_SAMPLE = "file.open_sample"
    OPEN_PROJECT = "file.open_project"
    NEW_PROJECT = "file.new_project"
    ADD_MASK = "file.add_mask"
    EXPORT = "file.export"
    QUIT = "file.quit"
    UNDO = "edit.undo"
    REDO = "edit.redo"
    ACCEPT_DRAFT = "draft.accept"
    REJECT_DRAFT = "draft.reject"
    SUBMIT_READ = "vote.submit"
    SHOW_LABELS = "view.labels"
    FAINTER = "view.fainter"
    STRONGER = "view.stronger"
    OUTLINE = "view.outline"
    HEAT = "view.heat"
    CROSSHAIR_LINES = "view.crosshair"
    SMOOTH = "view.smooth"
    RESET_VIEW = "view.reset"
    SIDE_PANEL = "view.side_panel"
    WHEEL_TURNED = "view.wheel_turned"
    MOUSE_PACS = "mouse.pacs"
    MOUSE_SLICER = "mouse.slicer"
    MOUSE_ITK_SNAP = "mouse.itk_snap"
    THEME = "view.theme"
    TOOL_CROSSHAIR = "tool.crosshair"
    TOOL_BRUSH = "tool.brush"
    TOOL_ERASER = "tool.eraser"
    TOOL_PREDICT = "tool.predict"
    MODELS = "tool.models"
    QUEUE = "tool.queue"
    INSIDE = "tool.inside"
    BRUSH_SMALLER = "brush.smaller"
    BRUSH_LARGER = "brush.larger"
    PREVIOUS_LABEL = "label.previous"
    NEXT_LABEL = "label.next"
    GO_CASES = "go.cases"
    GO_READ = "go.read"
    GO_AGREE = "go.agree"
    GO_SCORE = "go.score"
    GO_TEACH = "go.teach"
    PREVIOUS_CASE = "case.previous"
    NEXT_CASE = "case.next"
    HELP_KEYS = "help.keys"
    ABOUT = "help.about"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing the user can do.

    Parameters
    ----------
    name : Act
        Stable name.
    text : str
        In menus and the help sheet.
    menu : MenuName
        Where it is found.
    keys : tuple of str
        Shortcuts, the first is shown.
    where : Place, optional
        Works only in this workspace; everywhere by default.
    glyph : Glyph, optional
        Its icon.
    checkable : bool
        Whether it is on or off.
    ends_group : bool
        A line follows it in the menu.
    """

    name: Act
    text: str
    menu: MenuName
    keys: tuple[str, ...] = ()
    where: Place | None = None
    glyph: Glyph | None = None
    checkable: bool = False
    ends_group: bool = False


_READ = Place.READ
ACTIONS: tuple[Action, ...] = (
    Action(Act.OPEN_FILE, "Open file…", MenuName.FILE, ("Ctrl+O",), glyph=Glyph.IMAGE),
    Action(Act.OPEN_FOLDER, "Open folder…", MenuName.FILE, ("Ctrl+Shift+O",), glyph=Glyph.FOLDER),
    Action(Act.OPEN_SAMPLE, "Open the sample", MenuName.FILE, ends_group=True),
    Action(Act.NEW_PROJECT, "New project…", MenuName.FILE, ("Ctrl+N",), glyph=Glyph.ADD),
    Action(Act.OPEN_PROJECT, "Open project…", MenuName.FILE, ("Ctrl+P",), glyph=Glyph.DATABASE, ends_group=True),
    Action(Act.ADD_MASK, "Add a mask to the case…", MenuName.FILE, ("Ctrl+M",), glyph=Glyph.UPLOAD),
    Action(Act.EXPORT, "Export…", MenuName.FILE, ("Ctrl+E",), glyph=Glyph.DOWNLOAD, ends_group=True),
    Action(Act.QUIT, "Quit", MenuName.FILE, ("Ctrl+Q",)),
    Action(Act.UNDO, "Undo", MenuName.EDIT, ("Ctrl+Z",), glyph=Glyph.UNDO),
    Action(Act.REDO, "Redo", MenuName.EDIT, ("Ctrl+Y", "Ctrl+Shift+Z"), glyph=Glyph.REDO, ends_group=True),
    Action(Act.ACCEPT_DRAFT, "Accept the draft", MenuName.EDIT, ("Return", "Enter"), _READ, Glyph.ACCEPT),
    Action(Act.REJECT_DRAFT, "Reject the draft", MenuName.EDIT, ("Esc",), _READ, Glyph.CLOSE, ends_group=True),
    Action(Act.SUBMIT_READ, "Submit my read", MenuName.EDIT, ("Ctrl+Return",), _READ, Glyph.VOTE),
    Action(Act.SHOW_LABELS, "Show the segmentation", MenuName.VIEW, ("G",), _READ, Glyph.EYE, checkable=True),
    Action(Act.FAINTER, "Labels fainter", MenuName.VIEW, ("A",), _READ),
    Action(Act.STRONGER, "Labels stronger", MenuName.VIEW, ("D",), _READ),
    Action(Act.OUTLINE, "Outline the labels", MenuName.VIEW, ("O",), _READ, checkable=True),
    Action(Act.HEAT, "Show or hide the heat", MenuName.VIEW, ("Shift+G",), _READ, ends_group=True),
    Action(Act.CROSSHAIR_LINES, "Show the crosshair", MenuName.VIEW, ("H",), _READ, checkable=True),
    Action(Act.SMOOTH, "Smooth between voxels", MenuName.VIEW, (), _READ, checkable=True),
    Action(Act.RESET_VIEW, "Reset and fit the views", MenuName.VIEW, ("R",), _READ, Glyph.FIT, ends_group=True),
    Action(Act.SIDE_PANEL, "Show the side panel", MenuName.VIEW, ("F9",), _READ, checkable=True, ends_group=True),
    Action(Act.WHEEL_TURNED, "Turn the wheel's direction", MenuName.VIEW, (), _READ, checkable=True, ends_group=True),
    Action(Act.MOUSE_PACS, "Left drag as in a PACS: window/level", MenuName.VIEW, (), _READ, checkable=True),
    Action(Act.MOUSE_SLICER, "Left drag as in Slicer: crosshair", MenuName.VIEW, (), _READ, checkable=True),
    Action(Act.MOUSE_ITK_SNAP, "Left drag as in ITK-SNAP: crosshair", MenuName.VIEW, (), _READ, None, True, True),
    Action(Act.THEME, "Switch between dark and light", MenuName.VIEW, ("Ctrl+Shift+L",)),
    Action(Act.TOOL_CROSSHAIR, "Crosshair", MenuName.TOOLS, ("C",), _READ, Glyph.CROSSHAIR, checkable=True),
    Action(Act.TOOL_BRUSH, "Brush", MenuName.TOOLS, ("B",), _READ, Glyph.BRUSH, checkable=True),
    Action(Act.TOOL_ERASER, "Eraser", MenuName.TOOLS, ("E",), _READ, Glyph.ERASER, checkable=True),
    Action(Act.TOOL_PREDICT, "Predict", MenuName.TOOLS, ("P",), _READ, Glyph.PREDICT, checkable=True, ends_group=True),
    Action(Act.MODELS, "Models…", MenuName.TOOLS, ("Ctrl+Shift+M",), None, Glyph.MODEL),
    Action(Act.QUEUE, "Draft queue…", MenuName.TOOLS, ("Ctrl+Shift+D",), None, Glyph.PLAY),
    Action(Act.INSIDE, "Inside the network…", MenuName.TOOLS, (), _READ, Glyph.GRID, ends_group=True),
    Action(Act.BRUSH_SMALLER, "Smaller brush", MenuName.TOOLS, ("[",), _READ),
    Action(Act.BRUSH_LARGER, "Larger brush", MenuName.TOOLS, ("]",), _READ, ends_group=True),
    Action(Act.PREVIOUS_LABEL, "Previous label", MenuName.TOOLS, ("Q",), _READ),
    Action(Act.NEXT_LABEL, "Next label", MenuName.TOOLS, ("W",), _READ),
    Action(Act.GO_CASES, "Cases", MenuName.GO, ("F1",), glyph=Glyph.CASES),
    Action(Act.GO_READ, "Read", MenuName.GO, ("F2",), glyph=Glyph.PENCIL),
    Action(Act.GO_AGREE, "Agree", MenuName.GO, ("F3",), glyph=Glyph.AGREE),
    Action(Act.GO_SCORE, "Score", MenuName.GO, ("F4",), glyph=Glyph.SCORE),
    Action(Act.GO_TEACH, "Teach", MenuName.GO, ("F5",), glyph=Glyph.TEACH, ends_group=True),
    Action(Act.PREVIOUS_CASE, "Previous case", MenuName.GO, ("Ctrl+PgUp",), glyph=Glyph.PREVIOUS),
    Action(Act.NEXT_CASE, "Next case", MenuName.GO, ("Ctrl+PgDown",), glyph=Glyph.NEXT),
    Action(Act.HELP_KEYS, "Mouse and keys", MenuName.HELP, ("?",), glyph=Glyph.HELP),
    Action(Act.ABOUT, "About segdesk", MenuName.HELP),
)
"""All actions; a key means one thing in a workspace."""

GO_ACTS = {
    Place.CASES: Act.GO_CASES, Place.READ: Act.GO_READ, Place.AGREE: Act.GO_AGREE,
    Place.SCORE: Act.GO_SCORE, Place.TEACH: Act.GO_TEACH,
}  # fmt: skip


class Actions(QObject):
    """The table as Qt actions, owned by the window.

    Parameters
    ----------
    window : QWidget
        Gets the shortcuts.
    theme : Theme
        For the icons.
    """

    def __init__(self, window: QWidget, theme: Theme) -> None:
        super().__init__(window)
        self._window = window
        self._place: Place | None = None
        self._by_name: dict[Act, QAction] = {}
        self._able: dict[Act, bool] = {}
        for row in ACTIONS:
            self._add(row, theme)

    def __getitem__(self, name: Act) -> QAction:
        """Return the Qt action of a row."""
        return self._by_name[name]

    def bind(self, name: Act, run: Callable[[], object], enabled: Property[bool] | None = None) -> None:
        """Say what an action does; until then it is disabled.

        Parameters
        ----------
        name : Act
            Which.
        run : callable
            Takes nothing.
        enabled : Property of bool, optional
            Whether it can be done now; always by default.
        """
        action = self._by_name[name]
        action.triggered.connect(lambda: run())
        if enabled is None:
            self.enable(name, able=True)
        else:
            _Enabling(action, self, name, enabled)

    def enable(self, name: Act, *, able: bool) -> None:
        """Say whether an action can be done now."""
        self._able[name] = able
        self._refresh(name)

    def enter(self, place: Place | None) -> None:
        """Another workspace is shown: its own keys work, those of the others do not."""
        self._place = place
        for name in self._by_name:
            self._refresh(name)

    def is_bound(self, name: Act) -> bool:
        """Whether somebody said what the action does."""
        return name in self._able

    def fill(self, bar: QMenuBar) -> None:
        """Make the menus."""
        for menu_name in MenuName:
            menu = QMenu(menu_name.value, bar)
            bar.addMenu(menu)
            for row in ACTIONS:
                if row.menu is menu_name:
                    menu.addAction(self._by_name[row.name])
                    if row.ends_group:
                        menu.addSeparator()

    def _add(self, row: Action, theme: Theme) -> None:
        action = QAction(row.text, self)
        action.setShortcuts([QKeySequence(key) for key in row.keys])
        action.setCheckable(row.checkable)
        action.setToolTip(tip_of(row))
        action.setEnabled(False)
        if row.glyph is not None:
            theme.put_icon(action, row.glyph)
        self._window.addAction(action)
        self._by_name[row.name] = action

    def _refresh(self, name: Act) -> None:
        row = next(each for each in ACTIONS if each.name is name)
        here = row.where is None or row.where is self._place
        self._by_name[name].setEnabled(here and self._able.get(name, False))


class _Enabling(QObject):
    """Lets a property enable an action; dies with it."""

    def __init__(self, action: QAction, actions: Actions, name: Act, able: Property[bool]) -> None:
        super().__init__(action)
        self._actions, self._name = actions, name
        able.changed.connect(self._take)
        self._take(able.value)

    def _take(self, able: bool) -> None:
        self._actions.enable(self._name, able=able)


def tip_of(row: Action) -> str:
    """Return a tool tip that names the key."""
    text = row.text.rstrip("…")
    return f"{text} ({shown_key(row.keys[0])})" if row.keys else text


def shown_key(key: str) -> str:
    """Return a key as it is written on this system."""
    return QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText) or key
