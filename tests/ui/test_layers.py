"""Overlapping labels: none of them is missing on the screen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from segdesk.core.geometry import Geometry
from segdesk.core.labels import Label, LabelMap, LabelTable
from segdesk.core.volume import Volume
from segdesk.session import Session
from segdesk.ui.jobs import Jobs
from segdesk.ui.models.label_counts import LabelCounts, counted
from segdesk.ui.models.layers import composed, layers_text, outlines_of_layers
from segdesk.ui.models.outline import outlines
from segdesk.ui.models.overlay import OverlayStyle
from segdesk.ui.models.overview_model import OverviewModel
from segdesk.ui.models.view_set import ViewSet
from segdesk.ui.panels.label_list import LabelListPanel
from segdesk.ui.theme import Theme

LIVER, VESSEL, LESION = Label(1, "Liver", (200, 0, 0)), Label(2, "Vessel", (0, 200, 0)), Label(3, "Lesion", (0, 0, 200))
GRID = Geometry.from_spacing((2, 6, 8))


@pytest.fixture
def labels() -> LabelMap:
    """A liver with a lesion in it, and a vessel that leaves it, in two layers."""
    first, second = np.zeros((2, *GRID.shape_kji), np.uint8)
    first[:, 1:5, 1:5] = LIVER.value
    second[:, 2:4, 2:4] = LESION.value
    second[:, 4, 3:7] = VESSEL.value
    return LabelMap((first, second), GRID, LabelTable((LIVER, VESSEL, LESION)))


@pytest.fixture
def views(labels: LabelMap) -> ViewSet:
    image = Volume(np.full(GRID.shape_kji, 100, np.int16), GRID)
    return ViewSet(image, labels, OverlayStyle(opacity=1.0))


def colours(views: ViewSet) -> dict[tuple[int, int], tuple[int, int, int]]:
    """The colour of every voxel of the first axial slice that has one."""
    packed = views.slices[0].plane, views.slices[0].compose()
    plane, frame = packed
    found = {}
    for j in range(6):
        for i in range(8):
            row, column = (int(x) for x in plane.to_pixel((0, j, i)))
            value = int(frame[row, column])
            rgb = value >> 16 & 255, value >> 8 & 255, value & 255
            if len(set(rgb)) > 1:
                found[j, i] = rgb
    return found


def test_every_layer_is_filled_and_the_label_further_down_the_list_is_on_top(views: ViewSet) -> None:
    shown = colours(views)
    assert shown[1, 1] == LIVER.colour_rgb
    assert shown[2, 2] == LESION.colour_rgb
    assert shown[4, 4] == shown[4, 6] == VESSEL.colour_rgb


def test_a_hidden_label_covers_nothing(views: ViewSet) -> None:
    views.style.value = replace(views.style.value, hidden=frozenset({LESION.value, VESSEL.value}))
    shown = colours(views)
    assert set(shown.values()) == {LIVER.colour_rgb}
    assert shown[2, 2] == shown[4, 4] == LIVER.colour_rgb


def test_what_is_covered_keeps_its_outline_all_round(views: ViewSet, labels: LabelMap) -> None:
    found = views.slices[0].outlines()
    assert set(found) == {1, 2, 3}
    plane, k = views.slices[0].plane, views.slices[0].slice_index
    np.testing.assert_array_equal(found[1], outlines(plane.cut(labels.layers[0], k))[1])


def test_a_label_of_two_layers_has_the_lines_of_both() -> None:
    one, other = np.zeros((2, 3, 5), np.uint8)
    one[1, 1] = other[1, 3] = 4
    assert len(outlines_of_layers([one, other])[4]) == len(outlines(one)[4]) + len(outlines(other)[4])


def test_one_layer_is_not_copied() -> None:
    layer = np.zeros((3, 3), np.uint16)
    assert composed([layer], hidden={1}) is layer


def test_the_values_of_a_wide_layer_are_kept() -> None:
    narrow, wide = np.array([[7]], np.uint8), np.array([[900]], np.uint16)
    assert composed([narrow, wide]).tolist() == [[900]]
    assert composed([narrow, wide], hidden={900}).tolist() == [[7]]


def test_all_labels_under_the_mouse_are_named(views: ViewSet) -> None:
    assert views.label_text((0, 2, 2)) == "Liver + Lesion"
    assert views.label_text((0, 1, 1)) == "Liver"
    assert views.label_text((0, 0, 0)) == ""


def test_the_overview_sees_them_too(views: ViewSet) -> None:
    assert set(np.unique(OverviewModel(views).request().labels)) == {0, 1, 2, 3}


def test_volumes_are_those_of_the_labels_and_not_of_what_is_seen(labels: LabelMap) -> None:
    counts = LabelCounts(labels)
    while counts.is_stale:
        slices, slab = counts.next_slab()
        counts.put(slices, counted(slab))
    assert counts.volumes_mm3() == {1: 32.0, 2: 8.0, 3: 8.0}


@pytest.mark.parametrize(("layers", "words"), [(1, ""), (2, "a second layer"), (4, "3 more layers")])
def test_the_note_says_how_many_layers_there_are(layers: int, words: str) -> None:
    assert words in layers_text(layers)
    assert bool(words) == bool(layers_text(layers))


def test_the_label_list_says_what_tools_do_not_reach(
    qtbot: QtBot, session: Session, views: ViewSet, theme: Theme
) -> None:
    jobs = Jobs()
    panel = LabelListPanel(session, views, jobs, theme)
    qtbot.addWidget(panel)
    panel.show()
    assert panel.layers_note.isVisible()
    assert "first layer only" in panel.layers_note.text()
    plain = LabelListPanel(session, ViewSet(views.volume, LabelMap.empty(GRID)), jobs, theme)
    qtbot.addWidget(plain)
    plain.show()
    assert not plain.layers_note.isVisible()
    qtbot.waitUntil(lambda: not jobs.running)
    for each in (panel, plain):
        each.let_go()
    jobs.shut_down()
