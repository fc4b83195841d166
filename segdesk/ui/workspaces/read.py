"""Read: look, draft, correct, vote."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtCore import Signal as QtSignal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from segdesk.core.box import Index3
from segdesk.core.events import Change, Property
from segdesk.core.settings import Settings
from segdesk.errors import SegdeskError
from segdesk.session import Candidate, FirstSlice, Session
from segdesk.ui.context import Ui
from segdesk.ui.jobs import Job
from segdesk.ui.models.tool_model import Tool, ToolModel
from segdesk.ui.panels.arriving_case import ArrivingCase
from segdesk.ui.panels.brush_panel import BrushPanel
from segdesk.ui.panels.fitted_column import FittedColumn
from segdesk.ui.panels.predict_panel import PredictPanel
from segdesk.ui.panels.section import Section
from segdesk.ui.panels.start_page import StartPage
from segdesk.ui.panels.tool_strip import ToolStrip
from segdesk.ui.panels.vote_box import VoteBox
from segdesk.ui.panels.window_panel import CaseCard
from segdesk.ui.theme import GRID_PX, Role, set_role
from segdesk.ui.workspaces.desk import Desk
from segdesk.ui.workspaces.read_actions import ReadActions

SIDE_WIDTH_PX = 328
"""Views keep 70 % of a window of 1280: 1280 - 328 - 48 = 904."""

UPPER_LEAST_PX = 216
"""The case's name and a few labels stay in sight, however long the options are."""


class ReadWorkspace(QWidget):
    """The reading desk, or the start page while no case is open.

    Parameters
    ----------
    session : Session
        Whose open case is shown.
    ui : Ui
        Of the window.

    Signals
    -------
    probed
        ViewSet and voxel under the mouse, or None twice.
    """

    probed = QtSignal(object, object)

    def __init__(self, session: Session, ui: Ui, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session, self._ui = session, ui
        self.tools = ToolModel(session.editor)
        self.desk: Desk | None = None
        self.arriving: ArrivingCase | None = None
        self.has_case = Property(False)
        self.start = StartPage(ui.actions)
        self._middle, self._label_place, self._window_place = _slot(), _slot(), _slot()
        self.card = CaseCard()
        self.brush = BrushPanel(session.editor)
        self.predict = PredictPanel(session, self.tools, ui)
        self.vote = VoteBox(session, ui.jobs)
        self._pages = QStackedWidget()
        self.side = QFrame()
        self.strip = ToolStrip(ui.actions)
        self._build()
        self.actions_of_read = ReadActions(self, ui.actions)
        self.tools.tool.changed.connect(self._on_tool)
        session.changed.connect(self._on_session)
        session.drafts.candidate.changed.connect(self._on_candidate)
        self._take_case()

    @property
    def session(self) -> Session:
        """The session shown."""
        return self._session

    @property
    def settings(self) -> Settings:
        """The settings of the window."""
        return self._ui.settings

    def look_at(self, index_kji: Index3) -> None:
        """Show a voxel of the open case in all views."""
        if self.desk is not None:
            self.desk.views.go_to(index_kji)

    @property
    def is_waiting(self) -> bool:
        """Whether a case is on its way and one slice of it is shown."""
        return self.arriving is not None

    def show_first_slice(self, first: FirstSlice, job: Job | None) -> None:
        """Show the first slice of a case that `job` is opening; nothing can be done with it."""
        self.forget_first_slice()
        self.tools.abort()
        self.has_case.value = False
        self.arriving = ArrivingCase(first, job, self._ui.theme, SIDE_WIDTH_PX)
        self._pages.addWidget(self.arriving)
        self._pages.setCurrentWidget(self.arriving)

    def forget_first_slice(self) -> None:
        """Show the open case again, or the start page: nothing is on its way any more."""
        arriving, self.arriving = self.arriving, None
        if arriving is None:
            return
        self._show_page()
        self._pages.removeWidget(arriving)
        arriving.deleteLater()

    def let_go(self) -> None:
        """Put the case away before the window is deleted."""
        if self.desk is not None:
            self.desk.let_go()
            self.desk = None

    def accept_draft(self) -> None:
        """Write the draft into the mask."""
        try:
            self._session.drafts.accept_ticked()
        except SegdeskError as error:
            self.tools.notice.value = error.message

    def reject_draft(self) -> None:
        """Put the draft away; a stroke in progress is given up first."""
        if not self.tools.abort():
            self._session.drafts.reject()

    def preview_newest(self) -> None:
        """Show the newest stored draft of the open case to be judged."""
        self.tools.choose(Tool.ROI)
        self.predict.stored.preview_newest()

    def _build(self) -> None:
        self.options = QStackedWidget()
        self.options.setSizePolicy(self.brush.sizePolicy())
        self._sections = {
            Tool.NONE: Section("Window", self._window_place),
            Tool.BRUSH: Section("Brush", self.brush),
            Tool.ROI: Section("Draft with a model", self.predict),
        }
        side = QVBoxLayout(self.side)
        side.setContentsMargins(0, 0, 0, 0)
        side.setSpacing(0)
        upper = _Upper()
        top = QVBoxLayout(upper)
        top.setContentsMargins(2 * GRID_PX, 12, 2 * GRID_PX, GRID_PX)
        top.setSpacing(12)
        top.addWidget(self.card)
        top.addWidget(self._label_place, 1)
        lower = FittedColumn(SIDE_WIDTH_PX)
        lower.set_sections(*self._sections.values(), Section("Your read", self.vote))
        self.predict.unfolded.connect(lower.reveal)
        upper.setMinimumHeight(UPPER_LEAST_PX)
        side.addWidget(upper, 1)
        side.addWidget(lower)
        self.side.setFixedWidth(SIDE_WIDTH_PX)
        set_role(self.side, Role.PANEL)
        desk = QWidget()
        row = QHBoxLayout(desk)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(1)
        row.addWidget(self.strip)
        row.addWidget(self._middle, 1)
        row.addWidget(self.side)
        self._pages.addWidget(self.start)
        self._pages.addWidget(desk)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self._pages)
        self._on_tool(self.tools.tool.value)

    def _take_case(self) -> None:
        before, case = self.desk, self._session.case
        self.tools.abort()
        self.tools.roi.value = None
        self.desk = None
        if case is not None:
            self.desk = Desk(self._session, case, self.tools, self._ui)
            self._fill(self.desk, case.record.name)
            if before is not None:
                self.desk.keep_view_of(before)
        if before is not None:
            before.let_go()
        self.forget_first_slice()
        self._show_page()
        self.probed.emit(None, None)

    def _show_page(self) -> None:
        self.has_case.value = self.desk is not None
        self._pages.setCurrentIndex(int(self.desk is not None))

    def _fill(self, desk: Desk, name: str) -> None:
        for place, widget in (
            (self._middle, desk.grid), (self._label_place, desk.labels), (self._window_place, desk.window),
        ):  # fmt: skip
            layout = place.layout()
            if layout is not None:
                layout.addWidget(widget)
        self.card.show_case(name, desk.views)
        self.predict.roi.set_shape(desk.case.volume.geometry.shape_kji)
        self.predict.heat.take_views(desk.views)
        desk.views.probe_kji.changed.connect(self._on_probe)
        values = desk.views.labels.table.values
        if values and self._session.editor.active_value.value not in values:
            self._session.editor.active_value.value = values[0]

    def _on_probe(self, index_kji: object) -> None:
        if self.desk is not None:
            self.probed.emit(self.desk.views, index_kji)

    def _on_session(self, change: Change, source: object) -> None:
        shown = None if self.desk is None else self.desk.case
        if shown is not self._session.case:
            self._take_case()
        if change & Change.TABLE and self.desk is not None:
            self.desk.views.refresh_colours()

    def _on_tool(self, tool: Tool) -> None:
        shown = {Tool.ERASER: Tool.BRUSH, Tool.CROSSHAIR: Tool.NONE}.get(tool, tool)
        for each, section in self._sections.items():
            section.setVisible(each is shown)

    def _on_candidate(self, candidate: Candidate | None) -> None:
        if candidate is not None and self.tools.tool.value is not Tool.ROI:
            self.tools.choose(Tool.ROI)


class _Upper(QWidget):
    """Takes the room the options leave, and wishes for no more than it needs: a list could fill any height."""

    def sizeHint(self) -> QSize:
        """Return the least useful height."""
        return QSize(SIDE_WIDTH_PX, UPPER_LEAST_PX)

    def hasHeightForWidth(self) -> bool:
        """Return False: wrapped labels inside would otherwise ask for the list's full height."""
        return False


def _slot() -> QWidget:
    """Return an empty place that takes one widget."""
    place = QWidget()
    layout = QVBoxLayout(place)
    layout.setContentsMargins(0, 0, 0, 0)
    return place
