"""The rows of the label list; without Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace

from segdesk.core.box import Box
from segdesk.core.events import Change, Signal
from segdesk.core.labels import Colour, Label, LabelTable
from segdesk.core.progress import Lane, Progress, Task
from segdesk.session import Session
from segdesk.ui.models.label_counts import LabelCounts, counted, volume_text
from segdesk.ui.models.view_set import ViewSet


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One label as it is shown."""

    label: Label
    is_visible: bool
    is_locked: bool
    is_active: bool
    volume: str


class LabelListModel:
    """Labels of the open case: names, colours, what is hidden and locked, how large they are.

    Parameters
    ----------
    session : Session
        Holds the label table and the editor.
    views : ViewSet
        What is hidden.

    Attributes
    ----------
    changed : Signal
        Any row changed.
    """

    changed = Signal()

    def __init__(self, session: Session, views: ViewSet) -> None:
        self._session = session
        self._views = views
        self._counts = LabelCounts(views.labels)
        self._volumes = self._counts.volumes_mm3()

    @property
    def table(self) -> LabelTable:
        """The label table of the working mask."""
        return self._views.labels.table

    def rows(self) -> list[LabelRow]:
        """Return all rows, ascending by value."""
        editor, hidden = self._session.editor, self._views.style.value.hidden
        return [
            LabelRow(
                label,
                label.value not in hidden,
                label.value in editor.locked.value,
                label.value == editor.active_value.value,
                self._volume(label.value),
            )
            for label in self.table
        ]

    def activate(self, value: int) -> None:
        """Make a label the one that tools draw."""
        self._session.editor.active_value.value = value

    def toggle_visible(self, value: int) -> None:
        """Show or hide a label."""
        style = self._views.style.value
        self._views.style.value = replace(style, hidden=style.hidden ^ {value})

    def toggle_locked(self, value: int) -> None:
        """Lock or unlock a label."""
        locked = self._session.editor.locked
        locked.value = locked.value ^ {value}

    def rename(self, value: int, name: str) -> None:
        """Give a label another name; an empty one is ignored."""
        label = self.table[value]
        if name.strip() and name.strip() != label.name:
            self._use(self.table.with_label(replace(label, name=name.strip())), "Rename label")

    def recolour(self, value: int, colour_rgb: Colour) -> None:
        """Give a label another colour."""
        self._use(self.table.with_label(replace(self.table[value], colour_rgb=colour_rgb)), "Recolour label")

    def add(self) -> Label:
        """Add a label with the next free value and make it the active one."""
        values = self.table.values
        label = Label.default(values[-1] + 1 if values else 1)
        self._use(self.table.with_label(label), "Add label")
        self.activate(label.value)
        return label

    def touch(self, box: Box) -> None:
        """Note that the voxels of a box changed; `count` brings the volumes up to date."""
        self._counts.touch(box)

    def count(self) -> Task[list[dict[int, int]]] | None:
        """Return the task that counts the next stale slices, None when all are counted."""
        if not self._counts.is_stale:
            return None
        slices, slab = self._counts.next_slab()

        def work(report: Progress) -> list[dict[int, int]]:
            return counted(slab)

        def apply(counts: list[dict[int, int]]) -> None:
            self._counts.put(slices, counts)
            if not self._counts.is_stale:
                self._volumes = self._counts.volumes_mm3()
                self._complete()
                self.changed.emit()

        return Task("", Lane.CPU, work, apply)

    def _volume(self, value: int) -> str:
        volume = self._volumes.get(value, 0.0)
        return volume_text(volume, has_mm=self._views.has_mm) if volume else "–"

    def _complete(self) -> None:
        """Give a row to every value that is drawn, so that nothing on screen is without a name."""
        missing = [value for value in self._volumes if value not in self.table]
        if missing:
            table = self.table.merged(LabelTable.for_values(missing))
            self._views.labels.table = table
            self._session.changed.emit(Change.TABLE, self)

    def _use(self, table: LabelTable, name: str) -> None:
        self._views.labels.table = table
        self._session.changed.emit(Change.TABLE, self)
        # The table is saved with the mask, so the mask is not saved as it was.
        self._session.editor.edited.emit(name)
        self.changed.emit()
