"""The open case on the desk: views in the middle, what belongs to them at the side."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtWidgets import QWidget

from segdesk.core.box import Box
from segdesk.session import Candidate, HeatMap, OpenCase, Session
from segdesk.ui.context import Ui
from segdesk.ui.models.heat_overlay import HeatOverlay, HeatStyle
from segdesk.ui.models.overlay import OverlayStyle
from segdesk.ui.models.tool_model import ToolModel
from segdesk.ui.models.view_set import ViewSet
from segdesk.ui.panels.label_list import LabelListPanel
from segdesk.ui.panels.window_panel import WindowPanel
from segdesk.ui.views.view_grid import ViewGrid


class Desk:
    """Everything that lives as long as one case is open for one reader.

    Parameters
    ----------
    session : Session
        Its editor and drafts.
    case : OpenCase
        The case.
    tools : ToolModel
        Outlives the case.
    ui : Ui
        Of the window.
    """

    def __init__(self, session: Session, case: OpenCase, tools: ToolModel, ui: Ui) -> None:
        self.case = case
        self._session = session
        settings = self._settings = ui.settings
        opacity, outline = settings.of("labels.opacity").value, settings.of("labels.outline").value
        self.views = ViewSet(case.volume, case.labels, OverlayStyle(opacity=float(opacity), outline=bool(outline)))
        self.grid = ViewGrid(self.views, tools, ui)
        self.labels = LabelListPanel(session, self.views, ui.jobs, ui.theme)
        self.window = WindowPanel(self.views)
        session.editor.labels_changed.connect(self._on_labels)
        session.drafts.candidate.changed.connect(self._on_candidate)
        session.drafts.ticked.changed.connect(self._on_ticked)
        session.heat.shown.changed.connect(self._on_heat)
        self._on_candidate(session.drafts.candidate.value)

    @property
    def widgets(self) -> tuple[QWidget, ...]:
        """What is to be deleted with the desk."""
        return self.grid, self.labels, self.window

    def keep_view_of(self, other: Desk) -> None:
        """Look at the same place in the same way: another reader of the same image."""
        if other.case.volume.geometry == self.case.volume.geometry:
            self.views.cursor_kji.value = other.views.cursor_kji.value
            self.views.window.value = other.views.window.value
            self.views.style.value = other.views.style.value

    def change_style(
        self, *, visible: bool | None = None, opacity: float | None = None, outline: bool | None = None
    ) -> None:
        """Change how labels are shown, and remember it for the next case."""
        style = self.views.style.value
        style = replace(
            style,
            visible=style.visible if visible is None else visible,
            opacity=style.opacity if opacity is None else min(max(opacity, 0.0), 1.0),
            outline=style.outline if outline is None else outline,
        )
        self.views.style.value = style
        self._settings.set("labels.opacity", style.opacity)
        self._settings.set("labels.outline", style.outline)

    def let_go(self) -> None:
        """Stop listening and delete the widgets."""
        self._session.editor.labels_changed.disconnect(self._on_labels)
        self._session.drafts.candidate.changed.disconnect(self._on_candidate)
        self._session.drafts.ticked.changed.disconnect(self._on_ticked)
        self._session.heat.shown.changed.disconnect(self._on_heat)
        self.grid.let_go()
        self.labels.let_go()
        self.window.let_go()
        for widget in self.widgets:
            widget.setParent(None)
            widget.deleteLater()

    def _on_labels(self, box: Box) -> None:
        self.views.note_labels(box)

    def _on_candidate(self, candidate: Candidate | None) -> None:
        if candidate is None:
            self.views.propose(None)
        else:
            unticked = frozenset(candidate.values) - self._session.drafts.ticked.value
            self.views.propose(candidate.labels, unticked)

    def _on_ticked(self, ticked: frozenset[int]) -> None:
        candidate = self._session.drafts.candidate.value
        # The ticks of a new candidate come before it, while there is nothing to show yet.
        if candidate is not None:
            self._on_candidate(candidate)

    def _on_heat(self, heat_map: HeatMap | None) -> None:
        before = self.views.heat.value
        style = HeatStyle() if before is None else replace(before.style, visible=True)
        self.views.heat.value = None if heat_map is None else HeatOverlay(heat_map, style)
