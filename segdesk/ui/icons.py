"""Icons from one set, drawn as glyphs of a small bundled font.

A glyph takes the colour of the theme when it is drawn, is sharp at every
scale, and costs nothing before the first icon is shown.
"""

from __future__ import annotations

from enum import Enum
from functools import cache

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QIcon, QPainter, QPixmap

from segdesk.paths import resources

FONT_FILE = "segdesk-icons.ttf"
ICON_SIZE_PX = 20
_SCALES = (1, 2, 3)


class Glyph(Enum):
    """The icons there are; values are code points of Material Design Icons 6.9 (Apache-2.0)."""

    ACCEPT = 0xF012C
    ADD = 0xF0415
    AGREE = 0xF0B58
    ALERT = 0xF05D6
    ARROW_LEFT = 0xF0141
    ARROW_RIGHT = 0xF0142
    BRUSH = 0xF00E3
    CASES = 0xF02EF
    CHART = 0xF012A
    CHEVRON_DOWN = 0xF0140
    CLOSE = 0xF0156
    CONTRAST = 0xF0196
    CROSSHAIR = 0xF01A3
    CUBE = 0xF01A7
    DATABASE = 0xF1632
    DELETE = 0xF0A7A
    DEVICE = 0xF061A
    DOWNLOAD = 0xF01DA
    ERASER = 0xF01FE
    EYE = 0xF06D0
    EYE_OFF = 0xF06D1
    FILTER = 0xF0236
    FIT = 0xF0EF6
    FLAG = 0xF023D
    FOLDER = 0xF0DCF
    GRID = 0xF11D9
    HELP = 0xF0625
    IMAGE = 0xF0976
    INFO = 0xF02FD
    LASSO = 0xF0F03
    LOCK = 0xF0341
    LOCK_OPEN = 0xF0FC7
    MAXIMISE = 0xF0616
    MENU_DOTS = 0xF01D8
    MINUS = 0xF0374
    MODEL = 0xF167A
    MOON = 0xF0594
    NEXT = 0xF04AD
    PAUSE = 0xF03E4
    PENCIL = 0xF03EB
    PLAY = 0xF040A
    POINTER = 0xF01BF
    PREDICT = 0xF0674
    PREVIOUS = 0xF04AE
    READER = 0xF0013
    REDO = 0xF044E
    REFRESH = 0xF0450
    RESTORE = 0xF0615
    ROI = 0xF0A6C
    ROLL_BACK = 0xF0465
    SAVE = 0xF0818
    SCORE = 0xF04EB
    SEARCH = 0xF0349
    SETTINGS = 0xF08BB
    STOP = 0xF04DB
    SUN = 0xF05A8
    TEACH = 0xF1180
    TROPHY = 0xF053A
    UNDO = 0xF054C
    UPLOAD = 0xF0552
    VERIFIED = 0xF1740
    VOTE = 0xF0A20
    WARNING = 0xF002A


def glyph_icon(glyph: Glyph, colour: QColor, faint: QColor, checked: QColor | None = None) -> QIcon:
    """Return an icon in the given colours.

    Parameters
    ----------
    glyph : Glyph
        What to draw.
    colour, faint : QColor
        For the normal and the disabled state.
    checked : QColor, optional
        For the checked (on) state; `colour` when left out.
    """
    icon = QIcon()
    for scale in _SCALES:
        icon.addPixmap(_pixmap(glyph, colour, scale), QIcon.Mode.Normal, QIcon.State.Off)
        icon.addPixmap(_pixmap(glyph, checked or colour, scale), QIcon.Mode.Normal, QIcon.State.On)
        icon.addPixmap(_pixmap(glyph, faint, scale), QIcon.Mode.Disabled, QIcon.State.Off)
    return icon


def glyph_pixmap(glyph: Glyph, colour: QColor, size_px: int, scale: float = 1.0) -> QPixmap:
    """Return one glyph as a square pixmap of `size_px` device-independent pixels."""
    side = round(size_px * scale)
    pixmap = QPixmap(side, side)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    font = QFont(_family())
    font.setPixelSize(side)
    painter.setFont(font)
    painter.setPen(colour)
    painter.drawText(QRect(0, 0, side, side), Qt.AlignmentFlag.AlignCenter, chr(glyph.value))
    painter.end()
    pixmap.setDevicePixelRatio(scale)
    return pixmap


def _pixmap(glyph: Glyph, colour: QColor, scale: int) -> QPixmap:
    return glyph_pixmap(glyph, colour, ICON_SIZE_PX, scale)


@cache
def _family() -> str:
    """Return the icon font's family, loading it into the application the first time."""
    QFontDatabase.addApplicationFont(str(resources() / "icons" / FONT_FILE))
    return "segdesk icons"
