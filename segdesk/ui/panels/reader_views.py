"""Linked slices of the open case with all readers' outlines on them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal as QtSignal
from PySide6.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from segdesk.core.box import Index3
from segdesk.core.labels import LabelMap
from segdesk.edit.editor import Editor
from segdesk.session import OpenCase
from segdesk.ui.bind import bind_check
from segdesk.ui.models.agree_model import AgreeModel
from segdesk.ui.models.mouse import LeftDrag
from segdesk.ui.models.overlay import OverlayStyle
from segdesk.ui.models.tool_model import ToolModel
from segdesk.ui.models.view_set import ViewSet
from segdesk.ui.theme import GRID_PX, Role, set_role
from segdesk.ui.views.reader_view import ReaderView

_HEAT_STYLE = OverlayStyle(opacity=0.45, outline=False)


class ReaderViews(QWidget):
    """The first plane large at the left, the others beside it; one legend above."""

    place_changed = QtSignal(object)
    """(k, j, i) of the voxel that all views look at now."""

    def __init__(self, model: AgreeModel) -> None:
        super().__init__()
        self._model = model
        self._tools = ToolModel(Editor())
        self._case: OpenCase | None = None
        self._views: ViewSet | None = None
        self._empty: LabelMap | None = None
        self.panes: tuple[ReaderView, ...] = ()
        self.heat = QCheckBox("Where they differ")
        self.heat.setToolTip("Colours each voxel by how many readers deviate from the label most of them chose")
        bind_check(self.heat, model.shows_heat)
        self._names: list[QLabel] = []
        self._legend = QHBoxLayout()
        self._legend.setSpacing(GRID_PX)
        self._grid = QGridLayout()
        self._grid.setSpacing(1)
        bar = QHBoxLayout()
        bar.setContentsMargins(2 * GRID_PX, GRID_PX // 2, 2 * GRID_PX, GRID_PX // 2)
        bar.setSpacing(2 * GRID_PX)
        bar.addWidget(self.heat)
        bar.addLayout(self._legend)
        bar.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(bar)
        layout.addLayout(self._grid, 1)
        model.views_changed.connect(self.refresh)

    @property
    def cursor_kji(self) -> Index3 | None:
        """The voxel all views look at, None without a case."""
        return None if self._views is None else self._views.cursor_kji.value

    def show_case(self, case: OpenCase | None) -> None:
        """Look at another case, or at none; the place is kept where the grid is the same."""
        if case is not self._case:
            before, place = self._case, self.cursor_kji
            self._case = case
            self._build_panes()
            if before and case and place and case.volume.geometry == before.volume.geometry:
                self.go_to(place)
        self.refresh()

    def go_to(self, index_kji: tuple[float, float, float]) -> None:
        """Put all views on a voxel."""
        if self._views is not None:
            self._views.go_to(index_kji)

    def refresh(self) -> None:
        """Draw what the model says."""
        if self._views is None or self._empty is None:
            return
        heat = self._model.heat
        self._views.labels = heat or self._empty
        self._views.refresh_colours()
        for pane in self.panes:
            pane.set_reads(self._model.reads)
        self._show_legend(heat)

    def _build_panes(self) -> None:
        self._drop_panes()
        if self._case is None:
            return
        self._empty = LabelMap.empty(self._case.volume.geometry)
        self._views = ViewSet(self._case.volume, self._empty, _HEAT_STYLE)
        self._views.cursor_kji.changed.connect(self._on_cursor)
        self.panes = tuple(ReaderView(each, self._tools) for each in self._views.slices)
        for position, pane in enumerate(self.panes):
            pane.left_drag = LeftDrag.CROSSHAIR
            # The first plane spans both rows; the others stand beside it below each other.
            self._grid.addWidget(pane, max(0, position - 1), min(position, 1), 2 if position == 0 else 1, 1)
        self._grid.setColumnStretch(0, 3)
        self._grid.setColumnStretch(1, 2 if len(self.panes) > 1 else 0)

    def _on_cursor(self, index_kji: Index3) -> None:
        self.place_changed.emit(index_kji)

    def _drop_panes(self) -> None:
        for pane in self.panes:
            pane.let_go()
            self._grid.removeWidget(pane)
            pane.deleteLater()
        self.panes = ()
        self._views = None

    def _show_legend(self, heat: LabelMap | None) -> None:
        for name in self._names:
            self._legend.removeWidget(name)
            name.deleteLater()
        self._names = []
        for label in _present(heat):
            name = QLabel(f"<span style='color: rgb{label[1]}'>■</span> {label[0]}")
            set_role(name, Role.MUTED)
            self._legend.addWidget(name)
            self._names.append(name)


def _present(heat: LabelMap | None) -> Sequence[tuple[str, tuple[int, int, int]]]:
    """Return names and colours of the values that occur in an agreement map."""
    if heat is None:
        return ()
    return [(label.name, label.colour_rgb) for label in heat.table]
