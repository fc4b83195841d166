"""Views without a window: an anisotropic phantom, an editor, an axial view.

Import as ``from tests.ui.scenes import Scene``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap, LabelTable
from segdesk.core.volume import Volume
from segdesk.edit.editor import Editor
from segdesk.ui.models.tool_model import ToolModel
from segdesk.ui.models.view_set import ViewSet

SHAPE_KJI = (10, 20, 30)
SPACING_KJI_MM = (4.0, 2.0, 1.0)


@dataclass(frozen=True)
class Scene:
    """A volume with an empty mask of two labels, and the tools on it."""

    views: ViewSet
    editor: Editor
    tools: ToolModel

    @classmethod
    def make(cls, geometry: Geometry | None = None, time_points: int = 1) -> Scene:
        grid = geometry or Geometry.from_spacing(SHAPE_KJI, SPACING_KJI_MM)
        shape = grid.shape_kji if time_points == 1 else (time_points, *grid.shape_kji)
        array = np.random.default_rng(5).normal(100, 20, shape).astype(np.float32)
        labels = LabelMap.empty(grid, LabelTable.for_values((1, 2)))
        editor = Editor()
        editor.attach(labels)
        views = ViewSet(Volume(array, grid, time_points=time_points), labels)
        editor.labels_changed.connect(views.note_labels)
        return cls(views, editor, ToolModel(editor))
