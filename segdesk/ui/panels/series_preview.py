"""What is known of the selected series: slices to leaf through, facts, remarks."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPixmap, QWheelEvent
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from segdesk.io.series import Refusal
from segdesk.ui.icons import Glyph, glyph_pixmap
from segdesk.ui.models.series_choice import Remark, SeriesRow, refusal_remark
from segdesk.ui.models.series_facts import Fact, facts_of
from segdesk.ui.models.series_previews import LARGE_PX, Preview, SeriesPreviews
from segdesk.ui.panels.section import wrapped
from segdesk.ui.pixmaps import pixmap_of
from segdesk.ui.theme import GRID_PX, Role, Theme, set_role

_ICON_PX = 18
_NAME_PX = 72
_WAITING = "Reading…"
_NOTHING = "Select a series to look at it."


class SlicePicture(QWidget):
    """One square picture, or a sentence instead; the wheel leafs."""

    def __init__(self, slider: QSlider) -> None:
        super().__init__()
        self._slider = slider
        self._pixmap: QPixmap | None = None
        self._text = _NOTHING
        self.setFixedHeight(LARGE_PX)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    @property
    def text(self) -> str:
        """What is said instead of a picture, "" when there is one."""
        return self._text

    def show_pixmap(self, pixmap: QPixmap) -> None:
        """Show a picture."""
        self._pixmap, self._text = pixmap, ""
        self.update()

    def say(self, text: str) -> None:
        """Show a sentence instead of a picture."""
        self._pixmap, self._text = None, text
        self.update()

    def sizeHint(self) -> QSize:
        """Return the size of the picture."""
        return QSize(LARGE_PX, LARGE_PX)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leaf through the slices."""
        self._slider.setValue(self._slider.value() - (1 if event.angleDelta().y() > 0 else -1))
        event.accept()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the picture, or the sentence, on black."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), Qt.GlobalColor.black)
        if self._pixmap is not None:
            left = (self.width() - round(self._pixmap.deviceIndependentSize().width())) // 2
            painter.drawPixmap(left, 0, self._pixmap)
        else:
            painter.setPen(Qt.GlobalColor.lightGray)
            inside = self.rect().adjusted(24, 24, -24, -24)
            painter.drawText(inside, int(Qt.AlignmentFlag.AlignCenter) | int(Qt.TextFlag.TextWordWrap), self._text)
        painter.end()


class SeriesPreview(QWidget):
    """The right side of the series browser.

    Parameters
    ----------
    previews : SeriesPreviews
        The pictures; read when a series is shown.
    theme : Theme
        Colours of the icons.
    """

    def __init__(self, previews: SeriesPreviews, theme: Theme) -> None:
        super().__init__()
        self._previews, self._theme = previews, theme
        self._row: SeriesRow | None = None
        self._shown: Preview | None = None
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName("Slice of the preview")
        self.slider.valueChanged.connect(self._show_slice)
        self.picture = SlicePicture(self.slider)
        self.number = set_role(QLabel(), Role.MUTED)
        self.number.setMinimumWidth(_NAME_PX)
        self.number.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._facts, self._remarks = QVBoxLayout(), QVBoxLayout()
        self._lay_out()
        self.show_value(None)

    def show_value(self, value: SeriesRow | Refusal | None) -> None:
        """Show a series, a refusal, or what to do when nothing is selected."""
        self._row = value if isinstance(value, SeriesRow) else None
        self._shown = None
        if self._row is not None:
            self._fill(facts_of(self._row), self._row.remarks)
            self.take_picture()
        else:
            self._fill((), (refusal_remark(value),) if isinstance(value, Refusal) else ())
            self.picture.say("There is no picture of what cannot be opened." if value is not None else _NOTHING)
            self._set_range(0)

    def take_picture(self) -> None:
        """Show the picture of the series if it is there by now."""
        if self._row is None or (self._shown is not None and self._shown.is_whole):
            return
        preview = self._previews.large(self._row)
        if preview is not None and preview is self._shown:
            return
        if preview is None:
            self.picture.say(self._previews.problem(self._row) or _WAITING)
            self._set_range(0)
            return
        self._shown = preview
        self._set_range(len(preview.slices))
        self.slider.setValue(preview.middle)
        self._show_slice(self.slider.value())

    @property
    def texts(self) -> tuple[str, ...]:
        """All words of the facts and remarks, for tests and screen readers."""
        return tuple(label.text() for label in self.findChildren(QLabel) if label.text())

    def _show_slice(self, place: int) -> None:
        if self._shown is None:
            return
        self.picture.show_pixmap(pixmap_of(self._shown.slices[place]))
        self.number.setText(f"{self._shown.noun} {self._shown.numbers[place]}/{self._shown.count}")

    def _set_range(self, count: int) -> None:
        self.slider.blockSignals(True)
        self.slider.setRange(0, max(0, count - 1))
        self.slider.blockSignals(False)
        self.slider.setEnabled(count > 1)
        if count == 0:
            self.number.setText("")

    def _fill(self, facts: Sequence[Fact], remarks: Sequence[Remark]) -> None:
        for layout in (self._facts, self._remarks):
            while (item := layout.takeAt(0)) is not None:
                widget = item.widget()
                if widget is not None:
                    widget.hide()
                    widget.deleteLater()
        if facts:
            self._facts.addWidget(_fact_table(facts))
        for remark in remarks:
            self._remarks.addWidget(self._remark_row(remark))

    def _remark_row(self, remark: Remark) -> QWidget:
        role = Role.ERROR if remark.is_refusal else Role.WARNING
        glyph = Glyph.ALERT if remark.is_refusal else Glyph.WARNING
        icon = QLabel()
        icon.setPixmap(glyph_pixmap(glyph, self._theme.tokens.colour(role.value), _ICON_PX, 2.0))
        icon.setFixedWidth(_ICON_PX)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(wrapped(remark.text, role))
        words.addWidget(wrapped(remark.what_to_do, Role.MUTED))
        place = QWidget()
        row = QHBoxLayout(place)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GRID_PX)
        row.addWidget(icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)
        return place

    def _lay_out(self) -> None:
        leaf = QHBoxLayout()
        leaf.setSpacing(GRID_PX)
        leaf.addWidget(self.slider, 1)
        leaf.addWidget(self.number)
        text = QWidget()
        words = QVBoxLayout(text)
        words.setContentsMargins(0, 0, GRID_PX, 0)
        words.setSpacing(GRID_PX)
        words.addLayout(self._remarks)
        words.addLayout(self._facts)
        words.addStretch()
        scroll = QScrollArea()
        scroll.setWidget(text)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GRID_PX)
        column.addWidget(self.picture)
        column.addLayout(leaf)
        column.addWidget(scroll, 1)
        self.setFixedWidth(LARGE_PX)


def _fact_table(facts: Sequence[Fact]) -> QWidget:
    place = QWidget()
    grid = QGridLayout(place)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(GRID_PX)
    grid.setVerticalSpacing(4)
    grid.setColumnMinimumWidth(0, _NAME_PX)
    grid.setColumnStretch(1, 1)
    for number, fact in enumerate(facts):
        grid.addWidget(set_role(QLabel(fact.name), Role.MUTED), number, 0, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(wrapped(fact.value, Role.WARNING if fact.is_striking else None), number, 1)
    return place
