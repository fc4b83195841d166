"""A scrolling column that is as high as what is in it, while there is room."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, QTimer
from PySide6.QtWidgets import QSizePolicy, QWidget

from segdesk.ui.panels.section import ScrollColumn

_LEAST_PX = 160


class FittedColumn(ScrollColumn):
    """Give what it does not need to its neighbour, and scrolls when there is too little.

    Parameters
    ----------
    width_px : int
        Fixed width of the column.
    """

    def __init__(self, width_px: int) -> None:
        super().__init__(width_px)
        self._revealed: QWidget | None = None
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._scroll)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Maximum)

    def sizeHint(self) -> QSize:
        """Return the height of the content at the column's width."""
        width, content = self.width(), self.widget()
        layout = None if content is None else content.layout()
        height = 0 if layout is None else layout.totalHeightForWidth(width)
        return QSize(width, max(height, _LEAST_PX))

    def minimumSizeHint(self) -> QSize:
        """Return the least height at which scrolling is of use."""
        return QSize(self.width(), _LEAST_PX)

    def reveal(self, part: QWidget) -> None:
        """Scroll a part into view that has only just been shown: as soon as it has its place."""
        self._revealed = part
        self._soon.start()

    def _scroll(self) -> None:
        part, self._revealed = self._revealed, None
        if part is not None:
            self.ensureWidgetVisible(part)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Ask for another height when the content changed; scroll areas watch their content anyway."""
        if event.type() is QEvent.Type.LayoutRequest and watched is self.widget():
            self.updateGeometry()
        return super().eventFilter(watched, event)
