"""The typeface: the system's, or the bundled one where the system has none."""

from __future__ import annotations

from PySide6.QtGui import QFont, QFontDatabase
from PySide6.QtWidgets import QApplication

from segdesk.paths import resources

BASE_PT = 10
_FALLBACK = "DejaVu Sans"


def use_fonts(app: QApplication) -> None:
    """Give the application a font that has letters; without any, text would be empty boxes."""
    if not QFontDatabase.families():
        for file in sorted((resources() / "fonts").glob("*.ttf")):
            QFontDatabase.addApplicationFont(str(file))
        app.setFont(QFont(_FALLBACK))
    font = app.font()
    font.setPointSize(BASE_PT)
    app.setFont(font)
