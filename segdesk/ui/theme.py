"""Colours, sizes and the style sheet: dark by default, light available."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from string import Template
from typing import TypeVar

from PySide6.QtCore import QObject, QSize
from PySide6.QtCore import Signal as QtSignal
from PySide6.QtGui import QAction, QColor, QPalette
from PySide6.QtWidgets import QAbstractButton, QApplication, QWidget

from segdesk.paths import resources
from segdesk.ui.icons import ICON_SIZE_PX, Glyph, glyph_icon

W = TypeVar("W", bound=QWidget)

GRID_PX = 8
"""Margins and gaps are multiples of this."""


class ThemeName(StrEnum):
    """The themes there are."""

    DARK = "dark"
    LIGHT = "light"


@dataclass(frozen=True, slots=True)
class Tokens:
    """The colours of a theme, as #rrggbb."""

    window: str
    panel: str
    raised: str
    hover: str
    border: str
    text: str
    muted: str
    faint: str
    accent: str
    accent_hover: str
    on_accent: str
    selection: str
    good: str
    warning: str
    error: str
    view: str

    def colour(self, name: str) -> QColor:
        """Return a token as a QColor."""
        return QColor(getattr(self, name))


TOKENS = {
    ThemeName.DARK: Tokens(
        window="#15171c", panel="#1b1e25", raised="#262a33", hover="#2f3440", border="#2c313b",
        text="#e4e7ec", muted="#a0a8b6", faint="#6a7282", accent="#4ba0f0", accent_hover="#6ab2f5",
        on_accent="#08131f", selection="#24405c", good="#58b98c", warning="#dfae4f", error="#ee7268", view="#000000",
    ),
    ThemeName.LIGHT: Tokens(
        window="#eef0f3", panel="#f8f9fb", raised="#ffffff", hover="#e4e8ee", border="#d3d8e0",
        text="#1b1f27", muted="#555e6d", faint="#9aa2af", accent="#1668b8", accent_hover="#0f559b",
        on_accent="#ffffff", selection="#cfe3f7", good="#217a50", warning="#8f6200", error="#b8342b", view="#000000",
    ),
}  # fmt: skip


class Role(StrEnum):
    """How a widget looks beyond its class; set with `set_role`, styled in app.qss."""

    PRIMARY = "primary"
    QUIET = "quiet"
    TAB = "tab"
    TOOL = "tool"
    TITLE = "title"
    HEADING = "heading"
    MUTED = "muted"
    ERROR = "error"
    WARNING = "warning"
    GOOD = "good"
    PANEL = "panel"
    HEADER = "header"
    STATUS = "status"
    CARD = "card"
    VALUE = "value"


class Theme(QObject):
    """The present theme of the application.

    Signals
    -------
    changed
        Widgets that paint themselves or hold icons refresh.
    """

    changed = QtSignal()

    def __init__(self, app: QApplication, name: ThemeName = ThemeName.DARK) -> None:
        super().__init__(app)
        self._app = app
        self._name = name
        self._apply()

    @property
    def name(self) -> ThemeName:
        """Which theme is on."""
        return self._name

    @property
    def tokens(self) -> Tokens:
        """Its colours."""
        return TOKENS[self._name]

    def use(self, name: ThemeName) -> None:
        """Switch to another theme."""
        if name is not self._name:
            self._name = name
            self._apply()
            self.changed.emit()

    def toggle(self) -> None:
        """Switch between dark and light."""
        self.use(ThemeName.LIGHT if self._name is ThemeName.DARK else ThemeName.DARK)

    def put_icon(self, target: QAbstractButton | QAction, glyph: Glyph) -> None:
        """Give a button or action an icon that follows the theme."""
        bond = target.findChild(_IconBond)
        if isinstance(bond, _IconBond):
            bond.show_glyph(glyph)
        else:
            _IconBond(target, self, glyph)

    def _apply(self) -> None:
        self._app.setStyle("Fusion")
        self._app.setPalette(_palette(self.tokens))
        self._app.setStyleSheet(style_sheet(self.tokens))


class _IconBond(QObject):
    """Repaints one target's icon when the theme changes; dies with the target."""

    def __init__(self, target: QAbstractButton | QAction, theme: Theme, glyph: Glyph) -> None:
        super().__init__(target)
        self._target, self._theme, self._glyph = target, theme, glyph
        theme.changed.connect(self._refresh)
        if isinstance(target, QAbstractButton):
            target.setIconSize(QSize(ICON_SIZE_PX, ICON_SIZE_PX))
        self._refresh()

    def show_glyph(self, glyph: Glyph) -> None:
        """Show another glyph."""
        if glyph is not self._glyph:
            self._glyph = glyph
            self._refresh()

    def _refresh(self) -> None:
        tokens = self._theme.tokens
        primary = self._target.property("role") == Role.PRIMARY.value
        normal = tokens.colour("on_accent" if primary else "text")
        checked = normal if primary else tokens.colour("accent")
        self._target.setIcon(glyph_icon(self._glyph, normal, tokens.colour("faint"), checked))


def set_role(widget: W, role: Role) -> W:
    """Give a widget a look of its own; may be changed while it is shown."""
    widget.setProperty("role", role.value)
    style = widget.style()
    style.unpolish(widget)
    style.polish(widget)
    return widget


def style_sheet(tokens: Tokens) -> str:
    """Return resources/styles/app.qss with the colours filled in."""
    text = (resources() / "styles" / "app.qss").read_text(encoding="utf-8")
    images = (resources() / "styles").as_posix()
    values = {field.name: getattr(tokens, field.name) for field in fields(tokens)}
    return Template(text).substitute(values, images=images)


def _palette(tokens: Tokens) -> QPalette:
    palette = QPalette()
    role = QPalette.ColorRole
    pairs = {
        role.Window: tokens.window, role.WindowText: tokens.text, role.Base: tokens.panel,
        role.AlternateBase: tokens.raised, role.Text: tokens.text, role.Button: tokens.raised,
        role.ButtonText: tokens.text, role.ToolTipBase: tokens.raised, role.ToolTipText: tokens.text,
        role.Highlight: tokens.selection, role.HighlightedText: tokens.text, role.PlaceholderText: tokens.faint,
        role.Link: tokens.accent, role.Mid: tokens.border, role.Dark: tokens.border, role.Accent: tokens.accent,
    }  # fmt: skip
    for key, value in pairs.items():
        palette.setColor(key, QColor(value))
    for key in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, key, QColor(tokens.faint))
    return palette
