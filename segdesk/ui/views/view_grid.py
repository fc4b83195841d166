"""All views of the open case in a grid."""

from __future__ import annotations

from functools import partial

from PySide6.QtWidgets import QGridLayout, QWidget

from segdesk.ui.context import Ui
from segdesk.ui.models.layout_model import LayoutModel
from segdesk.ui.models.mouse import PROFILES
from segdesk.ui.models.overview_model import OverviewModel
from segdesk.ui.models.tool_model import ToolModel
from segdesk.ui.models.view_set import ViewSet
from segdesk.ui.views.overview import OverviewFrame, OverviewView
from segdesk.ui.views.slice_view import SliceView
from segdesk.ui.views.view_frame import SliceFrame

_VIEW_SETTINGS = ("mouse.profile", "mouse.scroll_inverted", "view.smooth", "view.letters", "view.crosshair")


class ViewGrid(QWidget):
    """Axial, sagittal, coronal and the overview; one view for a film or a stack.

    Parameters
    ----------
    views : ViewSet
        The case.
    tools : ToolModel
        The active tool.
    ui : Ui
        Of the window.
    """

    def __init__(self, views: ViewSet, tools: ToolModel, ui: Ui) -> None:
        super().__init__()
        self.views = views
        settings = self._settings = ui.settings
        self.slice_views = [SliceView(model, tools, self) for model in views.slices]
        self._frames: list[SliceFrame | OverviewFrame] = [SliceFrame(view, ui.theme, self) for view in self.slice_views]
        if len(views.slices) > 1:
            self._frames.append(OverviewFrame(OverviewView(OverviewModel(views), ui.jobs), ui.theme, self))
        self.arrangement = LayoutModel(len(self._frames))
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(1)
        for number, frame in enumerate(self._frames):
            self._grid.addWidget(frame, *self.arrangement.place(number))
            toggle = partial(self.arrangement.toggle, number)
            frame.view.maximise_asked.connect(toggle)
            frame.bar.maximise_asked.connect(toggle)
        self.arrangement.maximised.changed.connect(self._arrange)
        for name in _VIEW_SETTINGS:
            settings.of(name).changed.connect(self._take_settings)
        self._take_settings()
        self._arrange()

    def let_go(self) -> None:
        """Stop listening before deletion."""
        for name in _VIEW_SETTINGS:
            self._settings.of(name).changed.disconnect(self._take_settings)
        for frame in self._frames:
            frame.let_go()

    def fit(self) -> None:
        """Fit every view."""
        for view in self.slice_views:
            view.fit()

    @property
    def active_view(self) -> SliceView:
        """The view with the focus, else the first one shown."""
        shown = [view for view in self.slice_views if view.isVisible()]
        focused = [view for view in shown if view.hasFocus()]
        return (focused or shown or self.slice_views)[0]

    def _arrange(self, maximised: object = None) -> None:
        for number, frame in enumerate(self._frames):
            frame.setVisible(self.arrangement.shows(number))
            frame.bar.show_maximised(maximised=self.arrangement.maximised.value == number)
        for line in range(2):
            used = any(self.arrangement.shows(n) and n // 2 == line for n in range(len(self._frames)))
            self._grid.setRowStretch(line, int(used))
            used = any(self.arrangement.shows(n) and n % 2 == line for n in range(len(self._frames)))
            self._grid.setColumnStretch(line, int(used))

    def _take_settings(self, value: object = None) -> None:
        settings = self._settings
        for view in self.slice_views:
            view.left_drag = PROFILES[str(settings.of("mouse.profile").value)]
            view.scroll_sign = -1 if settings.of("mouse.scroll_inverted").value else 1
            view.smooth = bool(settings.of("view.smooth").value)
            view.shows_letters = bool(settings.of("view.letters").value)
            view.shows_crosshair = bool(settings.of("view.crosshair").value)
            view.update()
