"""What all views of the open case share: voxels, cursor, window, overlay."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdesk.core.box import Box, Index3
from segdesk.core.events import Property, Signal
from segdesk.core.geometry import Geometry
from segdesk.core.labels import Label, LabelArray, LabelMap
from segdesk.core.reslice import planes_of
from segdesk.core.volume import Volume, Window
from segdesk.core.window import presets_for, start_window
from segdesk.ui.models.heat_overlay import HeatOverlay
from segdesk.ui.models.overlay import ColourTable, OverlayStyle
from segdesk.ui.models.slice_model import SliceModel


class ViewSet:
    """The model behind the views; without Qt.

    Parameters
    ----------
    volume : Volume
        The image.
    labels : LabelMap
        The working mask, on the image's grid; read, never written, here.
    style : OverlayStyle
        How labels are shown at first.

    Attributes
    ----------
    labels_changed : Signal(Box)
        Label voxels in the box look different: redraw the slices it touches.
    repaint : Signal
        Everything looks different.
    cursor_kji : Property of (k, j, i)
        The voxel under the crosshair; every view shows the slice through it.
    probe_kji : Property of (k, j, i) or None
        The voxel under the mouse.
    window : Property of Window
        Grey values shown.
    style : Property of OverlayStyle
        How labels are shown.
    time_point : Property of int
        Of a 4D image.
    heat : Property of HeatOverlay or None
        Numbers over the image; while they are shown, labels are outlines only.
    """

    labels_changed = Signal(Box)
    repaint = Signal()

    def __init__(self, volume: Volume, labels: LabelMap, style: OverlayStyle | None = None) -> None:
        self.volume = volume
        self.labels = labels
        self.proposal: LabelMap | None = None
        k, j, i = (max(0, n // 2) for n in volume.geometry.shape_kji)
        self.cursor_kji: Property[Index3] = Property((k, j, i))
        self.probe_kji: Property[Index3 | None] = Property(None)
        self.presets = presets_for(volume)
        self.start_window = start_window(volume, self.presets)
        self.window: Property[Window] = Property(self.start_window)
        self.style: Property[OverlayStyle] = Property(style or OverlayStyle())
        self.time_point: Property[int] = Property(0, minimum=0, maximum=volume.time_points - 1)
        self.heat: Property[HeatOverlay | None] = Property(None)
        self.unticked: frozenset[int] = frozenset()
        self.slices = tuple(SliceModel(self, plane) for plane in planes_of(volume.geometry))
        self._image = volume.at_time(0).array
        self.colours = ColourTable(labels.table, self.style.value)
        self.style.changed.connect(self._on_style)
        self.window.changed.connect(self._on_window)
        self.time_point.changed.connect(self._on_time)
        self.heat.changed.connect(self._on_heat)

    @property
    def image(self) -> NDArray[Any]:
        """Voxels of the shown time point, shape (K, J, I) or (K, J, I, 3)."""
        return self._image

    @property
    def shown_layers(self) -> tuple[LabelArray, ...]:
        """Layers of the labels that are filled: the proposal while there is one, else the working mask."""
        return self.labels.layers if self.proposal is None else self.proposal.layers

    def propose(self, proposal: LabelMap | None, unticked: frozenset[int] = frozenset()) -> None:
        """Show a model's proposal for judgement without its unticked labels, None to put it away."""
        self.proposal, self.unticked = proposal, unticked
        self.refresh_colours()

    @property
    def shown_style(self) -> OverlayStyle:
        """The style of what is filled: a proposal does not show its unticked labels."""
        style = self.style.value
        return style if self.proposal is None else replace(style, hidden=style.hidden | self.unticked)

    @property
    def shown_heat(self) -> HeatOverlay | None:
        """The heat over the image, None while it is hidden."""
        heat = self.heat.value
        return heat if heat is not None and heat.style.visible else None

    def refresh_colours(self) -> None:
        """Take the label table and the style anew."""
        table = self.labels.table if self.proposal is None else self.labels.table.merged(self.proposal.table)
        self.colours = ColourTable(table, self.shown_style)
        self.repaint.emit()

    def note_labels(self, box: Box) -> None:
        """Tell the views that label voxels in a box changed."""
        self.labels_changed.emit(box)

    def colour_of(self, value: int) -> tuple[int, int, int]:
        """Return the colour of a label, also of one without a row."""
        tables = (self.labels.table,) if self.proposal is None else (self.labels.table, self.proposal.table)
        for table in tables:
            if value in table:
                return table[value].colour_rgb
        return Label.default(value).colour_rgb

    def go_to(self, index_kji: tuple[float, float, float]) -> None:
        """Put the cursor on the nearest voxel inside the image."""
        shape = self.volume.geometry.shape_kji
        k, j, i = (int(min(max(np.floor(x + 0.5), 0), n - 1)) for x, n in zip(index_kji, shape, strict=True))
        self.cursor_kji.value = (k, j, i)

    def value_text(self, index_kji: Index3) -> str:
        """Return the intensity of a voxel with its unit."""
        value = self._image[index_kji]
        if self.volume.is_rgb:
            return "RGB " + " ".join(str(int(x)) for x in value)
        number = f"{float(value):.6g}" if self._image.dtype.kind == "f" else str(int(value))
        return f"{number} {self.volume.unit.value}"

    def label_text(self, index_kji: Index3) -> str:
        """Return the names of the labels of a voxel, "" for background."""
        values = (int(layer[index_kji]) for layer in self.shown_layers)
        return " + ".join(self.labels.table.name_of(value) for value in values if value)

    def heat_text(self, index_kji: Index3) -> str:
        """Return the heat of a voxel with the name of the map, "" while none is shown."""
        return "" if self.shown_heat is None else self.shown_heat.text_at(index_kji)

    def place_text(self, index_kji: Index3) -> str:
        """Return the LPS position of a voxel, "" where the image has none."""
        grid = self.volume.geometry
        if not grid.orientation_known or not grid.spacing_known:
            return ""
        return "  ".join(f"{name} {x:.1f}" for name, x in zip("LPS", grid.index_to_lps(index_kji), strict=True))

    @property
    def has_mm(self) -> bool:
        """Whether lengths are mm (else pixels)."""
        return self.volume.geometry.spacing_known

    @property
    def is_regular(self) -> bool:
        """Whether all three planes can be cut."""
        return isinstance(self.volume.geometry, Geometry)

    def _on_style(self, style: OverlayStyle) -> None:
        self.refresh_colours()

    def _on_window(self, window: Window) -> None:
        self.repaint.emit()

    def _on_heat(self, heat: HeatOverlay | None) -> None:
        self.repaint.emit()

    def _on_time(self, point: int) -> None:
        self._image = self.volume.at_time(point).array
        self.repaint.emit()
