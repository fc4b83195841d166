from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtGui import QColor, QImage
from pytestqt.qtbot import QtBot

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.core.volume import Volume
from segdesk.edit.editor import Editor
from segdesk.store.records import RaterKind
from segdesk.ui.models.agree_model import ShownRead
from segdesk.ui.models.reader_style import ReaderStyle
from segdesk.ui.models.tool_model import ToolModel
from segdesk.ui.models.view_set import ViewSet
from segdesk.ui.views.reader_view import ReaderView

GEOMETRY = Geometry.from_spacing((3, 20, 30), (4.0, 1.0, 0.5))
RED, GREEN = (255, 0, 0), (0, 255, 0)


def read(name: str, colour: tuple[int, int, int], start_i: int) -> ShownRead:
    array = np.zeros(GEOMETRY.shape_kji, np.uint8)
    array[1, 5:15, start_i : start_i + 10] = 1
    return ShownRead(ReaderStyle(name, RaterKind.HUMAN, colour), LabelMap.of(array, GEOMETRY))


@pytest.fixture
def view(qtbot: QtBot) -> ReaderView:
    views = ViewSet(Volume(np.zeros(GEOMETRY.shape_kji), GEOMETRY), LabelMap.empty(GEOMETRY))
    shown = ReaderView(views.slices[0], ToolModel(Editor()))
    shown.shows_crosshair = False
    qtbot.addWidget(shown)
    shown.resize(300, 400)
    shown.show()
    return shown


def picture(view: ReaderView) -> QImage:
    return view.grab().toImage()


def has_near(image: QImage, x: float, y: float, colour: tuple[int, int, int]) -> bool:
    """Whether a pixel within 4 px of a place is clearly of the colour."""
    spots = (QColor(image.pixel(round(x) + dx, round(y) + dy)) for dx in range(-4, 5) for dy in range(-4, 5))
    wanted = QColor(*colour)
    return any(
        abs(spot.red() - wanted.red()) + abs(spot.green() - wanted.green()) + abs(spot.blue() - wanted.blue()) < 120
        for spot in spots
    )


def test_each_outline_lies_on_its_voxel_edges_in_its_colour(view: ReaderView) -> None:
    view.set_reads([read("a", RED, 2), read("b", GREEN, 15)])
    image = picture(view)
    for colour, start_i in ((RED, 2), (GREEN, 15)):
        left_edge = view.viewport.to_screen(*view.model.plane.to_pixel((1, 10, start_i - 0.5)))
        assert has_near(image, *left_edge, colour)
        middle = view.viewport.to_screen(*view.model.plane.to_pixel((1, 10, start_i + 5)))
        assert not has_near(image, *middle, colour)


def test_coinciding_outlines_are_both_seen(view: ReaderView) -> None:
    view.set_reads([read("a", RED, 5), read("b", GREEN, 5)])
    image = picture(view)
    edge = view.viewport.to_screen(*view.model.plane.to_pixel((1, 10, 4.5)))
    assert has_near(image, *edge, RED)
    assert has_near(image, *edge, GREEN)


def test_another_slice_has_its_own_outlines(view: ReaderView) -> None:
    view.set_reads([read("a", RED, 5)])
    edge = view.viewport.to_screen(*view.model.plane.to_pixel((1, 10, 4.5)))
    assert has_near(picture(view), *edge, RED)
    view.model.slice_index = 0
    assert not has_near(picture(view), *edge, RED)


def test_no_reads_no_lines(view: ReaderView) -> None:
    view.set_reads([])
    image = picture(view)
    edge = view.viewport.to_screen(*view.model.plane.to_pixel((1, 10, 4.5)))
    assert not has_near(image, *edge, RED)
