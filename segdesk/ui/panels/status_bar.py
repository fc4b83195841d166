"""The bottom row: saved state, what is under the mouse, jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QToolButton, QWidget

from segdesk.core.box import Index3
from segdesk.ui.icons import Glyph
from segdesk.ui.jobs import Job, Jobs
from segdesk.ui.models.job_text import progress_text
from segdesk.ui.theme import GRID_PX, Role, Theme, set_role

if TYPE_CHECKING:
    from segdesk.session import Session
    from segdesk.ui.models.view_set import ViewSet

HEIGHT_PX = 28
_REFRESH_MS = 500


class StatusBar(QFrame):
    """Says where the mouse is and what is going on.

    Parameters
    ----------
    jobs : Jobs
        Shown at the right.
    theme : Theme
        For the icon.
    """

    def __init__(self, jobs: Jobs, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_role(self, Role.STATUS)
        self.setFixedHeight(HEIGHT_PX)
        self.saved, self.voxel, self.place, self.value = (QLabel() for _ in range(4))
        row = QHBoxLayout(self)
        row.setContentsMargins(2 * GRID_PX, 0, GRID_PX, 0)
        row.setSpacing(3 * GRID_PX)
        for label in (self.saved, self.voxel, self.place, self.value):
            row.addWidget(label)
        row.addStretch(1)
        row.addWidget(JobsBar(jobs, theme))

    def follow(self, session: Session) -> None:
        """Show the saved state of a session."""
        _SavedState(self.saved, session)

    def show_voxel(self, views: ViewSet | None, index_kji: Index3 | None) -> None:
        """Show what is at a voxel; nothing for None."""
        if views is None or index_kji is None:
            for label in (self.voxel, self.place, self.value):
                label.clear()
            return
        k, j, i = index_kji
        self.voxel.setText(f"(k, j, i)  {k}, {j}, {i}")
        place = views.place_text(index_kji)
        self.place.setText(f"{place}  mm" if place else "")
        self.place.setToolTip(f"Geometry from {views.volume.geometry.source}")
        texts = views.value_text(index_kji), views.label_text(index_kji), views.heat_text(index_kji)
        self.value.setText("  ·  ".join(text for text in texts if text))


class _SavedState(QWidget):
    """Keeps the saved label true; a child of it."""

    def __init__(self, label: QLabel, session: Session) -> None:
        super().__init__(label)
        self.hide()
        self._label, self._session = label, session
        for prop in (session.is_dirty, session.last_saved, session.save_error):
            prop.changed.connect(self._show)
        self._show()

    def _show(self, value: object = None) -> None:
        error, saved = self._session.save_error.value, self._session.last_saved.value
        if error:
            self._label.setText(f"not saved: {error}")
        elif self._session.is_dirty.value:
            self._label.setText("saving…")
        else:
            self._label.setText("" if saved is None else f"saved ✓ {saved.astimezone():%H:%M:%S}")
        set_role(self._label, Role.ERROR if error else Role.MUTED)
        self._label.setToolTip(error or "Every stroke is saved as you draw")


class JobsBar(QWidget):
    """The oldest running job with its progress, time estimate and cancel; how many wait behind it."""

    def __init__(self, jobs: Jobs, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._jobs = jobs
        self.text, self.bar = QLabel(), QProgressBar()
        self.bar.setFixedWidth(96)
        self.bar.setTextVisible(False)
        self.cancel = QToolButton()
        self.cancel.setToolTip("Cancel")
        self.cancel.setAccessibleName("Cancel the job")
        theme.put_icon(self.cancel, Glyph.CLOSE)
        self.cancel.clicked.connect(self._cancel)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GRID_PX)
        row.addWidget(self.text)
        row.addWidget(self.bar, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self.cancel)
        self._timer = QTimer(self)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.timeout.connect(self._show)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._show)
        jobs.started.connect(self._on_started)
        jobs.finished.connect(self._on_finished)
        self._show()

    @property
    def shown_job(self) -> Job | None:
        """The job in the bar: the oldest one that has a title."""
        return next((job for job in self._jobs.running if job.title), None)

    def _on_started(self, job: Job) -> None:
        job.progressed.connect(self._show_soon)
        self._show_soon()

    def _on_finished(self, job: Job) -> None:
        self._show_soon()

    def _show_soon(self) -> None:
        """Show after the present event: a table may start jobs for its pictures while it is being painted."""
        self._soon.start()

    def _show(self) -> None:
        job = self.shown_job
        for widget in (self.text, self.bar, self.cancel):
            widget.setVisible(job is not None)
        if job is None:
            self._timer.stop()
            return
        if not self._timer.isActive():
            self._timer.start()
        waiting = sum(1 for each in self._jobs.running if each.title) - 1
        text = "stopping…" if job.is_cancelling else progress_text("", job.done, job.total, job.remaining_s)
        more = f"  (+{waiting})" if waiting else ""
        self.text.setText(f"{job.title}  {text}{more}".strip())
        self.text.setToolTip(job.text)
        self.bar.setRange(0, job.total)
        self.bar.setValue(job.done)
        self.cancel.setEnabled(not job.is_cancelling)

    def _cancel(self) -> None:
        job = self.shown_job
        if job is not None:
            job.cancel()
            self._show()
