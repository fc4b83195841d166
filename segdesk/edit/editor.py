"""The editor: tool state, strokes and undo on one label map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from segdesk.core.box import Box
from segdesk.core.events import Property, Signal
from segdesk.core.labels import LabelArray, LabelMap
from segdesk.edit.delta import LabelDelta
from segdesk.edit.history import EditHistory, Step
from segdesk.edit.paint import DrawOver, paint, replace_values
from segdesk.edit.region import Region
from segdesk.edit.tools.brush import Brush, Point3, swept_region
from segdesk.errors import EditError


class Editor:
    """Everything tools and menus need to change the labels of the open case.

    Attributes
    ----------
    labels_changed : Signal(Box)
        Voxels in the box changed (during a stroke too): redraw them.
    edited : Signal(str)
        A step was committed, undone or redone, with its name: the mask must be saved.
    active_value : Property of int
        Label that tools draw; 1 or more.
    draw_over : Property of DrawOver
        Protection rule, without the locked labels.
    locked : Property of frozenset of int
        Labels that no edit changes.
    brush_radius_mm, brush_is_3d : Property
        The brush: radius in mm; ball instead of disc.
    erases_any_label : Property of bool
        The eraser removes every label that is not locked, not only the active one.
    can_undo, can_redo, undo_name, redo_name : Property
        For the menu; they follow the history.
    """

    labels_changed = Signal(Box)
    edited = Signal(str)

    def __init__(self, history: EditHistory | None = None) -> None:
        self.active_value = Property(1, minimum=1, maximum=65535)
        self.draw_over = Property(DrawOver())
        self.locked: Property[frozenset[int]] = Property(frozenset())
        self.brush_radius_mm = Property(5.0, minimum=0.1, maximum=100.0, unit="mm")
        self.brush_is_3d = Property(False)
        self.erases_any_label = Property(False)
        self.can_undo = Property(False)
        self.can_redo = Property(False)
        self.undo_name = Property("")
        self.redo_name = Property("")
        self._history = history or EditHistory()
        self._labels: LabelMap | None = None

    @property
    def labels(self) -> LabelMap | None:
        """The map being edited, None when no case is open."""
        return self._labels

    @property
    def history(self) -> EditHistory:
        """The undo history, to look at."""
        return self._history

    @property
    def is_stroking(self) -> bool:
        """Whether a stroke is in progress."""
        return self._history.is_open

    def attach(self, labels: LabelMap | None) -> None:
        """Edit another map from now on; the history starts anew."""
        self._labels = labels
        self._history.clear()
        self._sync()

    def snapshot(self) -> LabelMap:
        """Return a copy of the labels without the stroke in progress, which may still be given up."""
        copy = self._require_labels().copy()
        self._history.revert_open(copy)
        return copy

    def begin_stroke(self, name: str = "Brush") -> None:
        """Start a stroke; the label's name is added for the menu ("Brush: liver")."""
        labels = self._require_labels()
        self._make_room(labels, self.active_value.value)
        self._history.begin(f"{name}: {labels.table.name_of(self.active_value.value)}")

    def paint(
        self, start_kji: Point3, stop_kji: Point3, plane_axis: int | None = None, *, erase: bool = False
    ) -> Box | None:
        """Draw with the brush from one cursor sample to the next, inside the open stroke.

        Parameters
        ----------
        start_kji, stop_kji : tuple of float
            Continuous voxel indices; the same point twice gives a dab.
        plane_axis : int, optional
            Index axis the shown slice is perpendicular to (0 axial-like k, 1 j, 2 i);
            ignored when `brush_is_3d`. None draws a ball.
        erase : bool
            Take the label away instead.

        Returns
        -------
        Box or None
            Voxels that changed.
        """
        labels = self._require_labels()
        brush = Brush(self.brush_radius_mm.value, None if self.brush_is_3d.value else plane_axis)
        region = swept_region(labels.geometry, start_kji, stop_kji, brush)
        return None if region is None else self.paint_region(region, erase=erase)

    def paint_region(self, region: Region, *, erase: bool = False) -> Box | None:
        """Draw any region inside the open stroke; returns the voxels that changed."""
        labels = self._require_labels()
        if not self._history.is_open:
            raise EditError("No stroke is open; begin one before drawing.")
        value = 0 if erase else self.active_value.value
        return self._added(paint(labels, region, value, self._eraser_rule() if erase else self._rule()))

    def commit_stroke(self) -> bool:
        """Finish the stroke as one undo step; False when it changed nothing."""
        step = self._history.commit()
        self._sync()
        if step is not None:
            self.edited.emit(step.name)
        return step is not None

    def abort_stroke(self) -> None:
        """Give the stroke up and restore the voxels (Esc)."""
        box = self._history.abort(self._require_labels())
        if box is not None:
            self.labels_changed.emit(box)

    def undo(self) -> None:
        """Take the last step back; nothing happens when there is none."""
        self._moved(self._history.undo(self._require_labels()))

    def redo(self) -> None:
        """Repeat the step undone last; nothing happens when there is none."""
        self._moved(self._history.redo(self._require_labels()))

    def apply_labels(self, name: str, new_array: LabelArray, box: Box) -> LabelDelta | None:
        """Write an accepted candidate or consensus as one undoable edit.

        Parameters
        ----------
        name : str
            For the menu: "Accept hippocampus-unet3d".
        new_array : ndarray of integers, shape `box.shape_kji`
            Values after the edit.
        box : Box
            Where they go.

        Returns
        -------
        LabelDelta or None
            What changed; None when nothing did, and then there is no undo step.
        """
        labels = self._require_labels()
        self._history.begin(name)
        if new_array.dtype != labels.array.dtype:
            self._make_room(labels, int(new_array.max(initial=0)))
        try:
            delta = replace_values(labels, box, new_array, DrawOver(locked=self.locked.value))
        except EditError:
            self._history.abort(labels)
            raise
        self._added(delta)
        self.commit_stroke()
        return delta

    @staticmethod
    def _make_room(labels: LabelMap, value: int) -> None:
        """Let the map hold a value: most maps need one byte a voxel, some label sets two."""
        if value > np.iinfo(labels.array.dtype).max:
            labels.widen()

    def _rule(self) -> DrawOver:
        return replace(self.draw_over.value, locked=self.locked.value)

    def _eraser_rule(self) -> DrawOver:
        if self.erases_any_label.value:
            return DrawOver(locked=self.locked.value)
        return DrawOver.only(self.active_value.value, self.locked.value)

    def _added(self, delta: LabelDelta | None) -> Box | None:
        self._history.add(delta)
        if delta is None:
            return None
        self.labels_changed.emit(delta.box)
        return delta.box

    def _moved(self, step: Step | None) -> None:
        self._sync()
        if step is not None:
            self.labels_changed.emit(step.box)
            self.edited.emit(step.name)

    def _sync(self) -> None:
        self.undo_name.value = self._history.undo_name
        self.redo_name.value = self._history.redo_name
        self.can_undo.value = self._history.step_count > 0
        self.can_redo.value = self._history.redo_count > 0

    def _require_labels(self) -> LabelMap:
        if self._labels is None:
            raise EditError("No case is open; open an image first.")
        return self._labels
