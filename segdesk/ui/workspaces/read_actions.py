"""What the actions of Read do, and when they can be done."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction

from segdesk.core.events import Property
from segdesk.core.settings import SettingValue
from segdesk.session import Candidate
from segdesk.ui.actions import Act, Actions
from segdesk.ui.models.tool_model import Tool

if TYPE_CHECKING:
    from segdesk.ui.workspaces.read import ReadWorkspace

OPACITY_STEP = 0.1
_SWITCHES = {
    Act.CROSSHAIR_LINES: "view.crosshair", Act.SMOOTH: "view.smooth", Act.WHEEL_TURNED: "mouse.scroll_inverted",
}  # fmt: skip
_PROFILES = {Act.MOUSE_PACS: "PACS", Act.MOUSE_SLICER: "Slicer", Act.MOUSE_ITK_SNAP: "ITK-SNAP"}
_TOOL_ACTS = {
    Tool.CROSSHAIR: Act.TOOL_CROSSHAIR, Tool.BRUSH: Act.TOOL_BRUSH, Tool.ERASER: Act.TOOL_ERASER,
    Tool.ROI: Act.TOOL_PREDICT,
}  # fmt: skip


class ReadActions(QObject):
    """Binds the rows of the table to the reading desk.

    Parameters
    ----------
    read : ReadWorkspace
        The desk; owner.
    actions : Actions
        The table.
    """

    def __init__(self, read: ReadWorkspace, actions: Actions) -> None:
        super().__init__(read)
        self._read, self._actions = read, actions
        self._has_draft = Property(False)
        self._bind_tools()
        self._bind_views()
        editor = read.session.editor
        actions.bind(Act.UNDO, editor.undo, editor.can_undo)
        actions.bind(Act.REDO, editor.redo, editor.can_redo)
        editor.undo_name.changed.connect(self._name_undo)
        editor.redo_name.changed.connect(self._name_redo)
        actions.bind(Act.ACCEPT_DRAFT, read.accept_draft, self._has_draft)
        actions.bind(Act.REJECT_DRAFT, read.reject_draft, self._has_draft)
        actions.bind(Act.SUBMIT_READ, read.vote.submit, read.has_case)
        read.session.drafts.candidate.changed.connect(self._on_candidate)
        read.has_case.changed.connect(self._on_case)

    def _bind_tools(self) -> None:
        tools, has_case = self._read.tools, self._read.has_case
        for tool, act in _TOOL_ACTS.items():
            self._actions.bind(act, partial(tools.choose, tool), has_case)
        tools.tool.changed.connect(self._on_tool)
        self._on_tool(tools.tool.value)
        self._actions.bind(Act.BRUSH_SMALLER, partial(tools.resize_brush, -1), has_case)
        self._actions.bind(Act.BRUSH_LARGER, partial(tools.resize_brush, 1), has_case)
        self._actions.bind(Act.PREVIOUS_LABEL, partial(tools.step_label, -1), has_case)
        self._actions.bind(Act.NEXT_LABEL, partial(tools.step_label, 1), has_case)

    def _bind_views(self) -> None:
        has_case = self._read.has_case
        self._actions.bind(Act.SHOW_LABELS, self._toggle_labels, has_case)
        self._actions.bind(Act.OUTLINE, self._toggle_outline, has_case)
        self._actions.bind(Act.HEAT, self._read.predict.heat.toggle, has_case)
        self._actions.bind(Act.FAINTER, partial(self._shift_opacity, -OPACITY_STEP), has_case)
        self._actions.bind(Act.STRONGER, partial(self._shift_opacity, OPACITY_STEP), has_case)
        self._actions.bind(Act.RESET_VIEW, self._reset, has_case)
        self._actions.bind(Act.SIDE_PANEL, self._toggle_side, has_case)
        self._actions[Act.SIDE_PANEL].setChecked(True)
        for act, name in _SWITCHES.items():
            self._actions.bind(act, partial(self._toggle_setting, name), has_case)
            _Check(self, self._actions[act], self._read.settings.of(name), True)
        for act, profile in _PROFILES.items():
            self._actions.bind(act, partial(self._read.settings.set, "mouse.profile", profile))
            _Check(self, self._actions[act], self._read.settings.of("mouse.profile"), profile)

    def _toggle_setting(self, name: str) -> None:
        self._read.settings.set(name, not self._read.settings.of(name).value)

    def _toggle_labels(self) -> None:
        if self._read.desk is not None:
            self._read.desk.change_style(visible=not self._read.desk.views.style.value.visible)
            self._show_style()

    def _toggle_outline(self) -> None:
        if self._read.desk is not None:
            self._read.desk.change_style(outline=not self._read.desk.views.style.value.outline)
            self._show_style()

    def _shift_opacity(self, step: float) -> None:
        if self._read.desk is not None:
            opacity = self._read.desk.views.style.value.opacity + step
            self._read.desk.change_style(opacity=round(opacity, 2))

    def _reset(self) -> None:
        if self._read.desk is not None:
            self._read.desk.grid.fit()

    def _toggle_side(self) -> None:
        self._read.side.setVisible(self._read.side.isHidden())
        self._actions[Act.SIDE_PANEL].setChecked(not self._read.side.isHidden())

    def _show_style(self) -> None:
        if self._read.desk is not None:
            style = self._read.desk.views.style.value
            self._actions[Act.SHOW_LABELS].setChecked(style.visible)
            self._actions[Act.OUTLINE].setChecked(style.outline)

    def _on_tool(self, tool: Tool) -> None:
        for each, act in _TOOL_ACTS.items():
            self._actions[act].setChecked(each is tool)

    def _on_case(self, has_case: object) -> None:
        self._show_style()

    def _on_candidate(self, candidate: Candidate | None) -> None:
        self._has_draft.value = candidate is not None

    def _name_undo(self, name: str) -> None:
        self._actions[Act.UNDO].setText(f"Undo {name}".rstrip())

    def _name_redo(self, name: str) -> None:
        self._actions[Act.REDO].setText(f"Redo {name}".rstrip())


class _Check(QObject):
    """Keeps an action checked while a setting has a value; a click on it changes nothing by itself."""

    def __init__(self, owner: QObject, action: QAction, prop: Property[SettingValue], on: SettingValue) -> None:
        super().__init__(owner)
        self._action, self._prop, self._on = action, prop, on
        prop.changed.connect(self._show)
        action.triggered.connect(self._show)
        self._show()

    def _show(self, value: object = None) -> None:
        self._action.setChecked(self._prop.value == self._on)
