"""The active tool: what a press, a drag and a release in a slice mean."""

from __future__ import annotations

from enum import StrEnum

from segdesk.core.box import Box, Index3
from segdesk.core.events import Property
from segdesk.edit.editor import Editor
from segdesk.errors import SegdeskError

Point3 = tuple[float, float, float]

BRUSH_STEP = 1.15
"""One notch or one key press changes the brush radius by this factor."""


class Tool(StrEnum):
    """The tools there are."""

    NONE = "none"
    CROSSHAIR = "crosshair"
    BRUSH = "brush"
    ERASER = "eraser"
    ROI = "roi"

    @property
    def draws(self) -> bool:
        """Whether it changes voxels."""
        return self in (Tool.BRUSH, Tool.ERASER)


class ToolModel:
    """Turns pointer positions into strokes; without Qt.

    Parameters
    ----------
    editor : Editor
        Owns brush, active label and undo.

    Attributes
    ----------
    tool : Property of Tool
        The active one.
    notice : Property of str
        Why the last stroke was not possible, "" otherwise.
    roi : Property of Box or None
        Region of interest for models.
    """

    def __init__(self, editor: Editor) -> None:
        self.editor = editor
        self.tool: Property[Tool] = Property(Tool.NONE)
        self.notice: Property[str] = Property("")
        self.roi: Property[Box | None] = Property(None)
        self._last = Tool.BRUSH
        self._at: Point3 | None = None
        self._plane_axis = 0
        self._erasing = False

    @property
    def is_stroking(self) -> bool:
        """Whether the pointer is down with a drawing tool."""
        return self._at is not None

    def choose(self, tool: Tool) -> None:
        """Make a tool the active one; choosing it again turns it off."""
        self.abort()
        self.notice.value = ""
        if self.tool.value is not Tool.NONE:
            self._last = self.tool.value
        self.tool.value = Tool.NONE if tool is self.tool.value else tool

    def toggle_last(self) -> None:
        """Switch between no tool and the last one."""
        self.choose(self._last if self.tool.value is Tool.NONE else self.tool.value)

    def resize_brush(self, notches: float) -> None:
        """Make the brush larger (smaller when negative)."""
        radius = self.editor.brush_radius_mm
        radius.value = round(radius.value * BRUSH_STEP**notches, 2)

    def press(self, index_kji: Point3, plane_axis: int, *, inverted: bool = False) -> bool:
        """Begin a stroke with a first dab.

        Parameters
        ----------
        index_kji : tuple of float
            Where, as a continuous voxel index.
        plane_axis : int
            Index axis the shown slice is perpendicular to.
        inverted : bool
            The brush erases, the eraser paints (Ctrl).

        Returns
        -------
        bool
            Whether a stroke began; if not, `notice` says why.
        """
        if not self.tool.value.draws or self.is_stroking:
            return False
        self._erasing = (self.tool.value is Tool.ERASER) != inverted
        self._plane_axis = plane_axis
        try:
            self.editor.begin_stroke("Eraser" if self._erasing else "Brush")
        except SegdeskError as error:
            self.notice.value = error.message
            return False
        self.notice.value = ""
        self._at = index_kji
        self.drag(index_kji)
        return self.is_stroking

    def drag(self, index_kji: Point3) -> None:
        """Draw on to here."""
        if self._at is None:
            return
        try:
            self.editor.paint(self._at, index_kji, self._plane_axis, erase=self._erasing)
        except SegdeskError as error:
            self.abort()
            self.notice.value = error.message
        else:
            self._at = index_kji

    def release(self) -> None:
        """Finish the stroke: one undo step."""
        if self._at is not None:
            self._at = None
            self.editor.commit_stroke()

    def abort(self) -> bool:
        """Give the stroke up and restore the voxels; False when there was none."""
        if self._at is None:
            return False
        self._at = None
        self.editor.abort_stroke()
        return True

    def step_label(self, steps: int) -> None:
        """Make the next (previous) label of the table the active one."""
        values = () if self.editor.labels is None else self.editor.labels.table.values
        if values:
            active = self.editor.active_value.value
            place = values.index(active) if active in values else -1 if steps > 0 else 0
            self.editor.active_value.value = values[(place + steps) % len(values)]

    def pick_label(self, index_kji: Index3) -> None:
        """Make the label of a voxel the active one; background changes nothing."""
        labels = self.editor.labels
        value = 0 if labels is None else int(labels.array[index_kji])
        if value:
            self.editor.active_value.value = value
