from __future__ import annotations

import math

from PySide6.QtGui import QColor, QPalette
from pytestqt.qtbot import QtBot

from segdesk.ui.views.curve_view import Curve, CurveView


def test_curves_are_shown_and_those_no_longer_named_vanish(qtbot: QtBot) -> None:
    view = CurveView("Dice", "step", (0.0, 1.0))
    qtbot.addWidget(view)
    view.set_curves([Curve("mean", [1, 2], [0.5, 0.6], has_points=True), Curve("liver", [1, 2], [0.4, math.nan])])
    assert view.points_of("mean") == ([1, 2], [0.5, 0.6])
    view.set_curves([Curve("mean", [1, 2, 3], [0.5, 0.6, 0.7])])
    assert view.points_of("mean")[0] == [1, 2, 3]
    assert view.points_of("liver") == ([], [])


def test_a_curve_without_points_is_empty(qtbot: QtBot) -> None:
    view = CurveView("Loss", "step")
    qtbot.addWidget(view)
    view.set_curves([Curve("loss", [], [])])
    assert view.points_of("loss") == ([], [])


def test_another_theme_repaints_the_background(qtbot: QtBot) -> None:
    view = CurveView("Loss", "step", legend_at_bottom=True)
    qtbot.addWidget(view)
    view.set_curves([Curve("loss", [1], [1.0])])
    palette = view.palette()
    palette.setColor(QPalette.ColorRole.Base, QColor("#123456"))
    view.setPalette(palette)
    assert view.backgroundBrush().color() == QColor("#123456")
