from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.session import Session
from segdesk.store.records import CaseStatus, RaterKind
from segdesk.ui.actions import Place
from segdesk.ui.main_window import MainWindow
from segdesk.ui.models.agree_model import Phase
from segdesk.ui.models.consensus_settings import Method
from segdesk.ui.workspaces.agree import AgreeWorkspace
from tests.ui.conftest import settle
from tests.ui.desks import SHAPE_KJI, SPACING_KJI_MM, desk_with_cases, on_screen, read_of, submit


def shown(qtbot: QtBot, session: Session) -> AgreeWorkspace:
    workspace, _ = on_screen(qtbot, AgreeWorkspace, session)
    return workspace


def two_islands() -> LabelMap:
    """`read_of(0)` and a lone voxel far away."""
    array = read_of(0).array.copy()
    array[7, 2, 2] = 1
    return LabelMap.of(array, Geometry.from_spacing(SHAPE_KJI, SPACING_KJI_MM))


@pytest.fixture
def blind(tmp_path: Path) -> Session:
    """One case that needs three reads and has two, the present reader's among them."""
    session = desk_with_cases(tmp_path, 2, reads=3)
    session.open_case(session.cases[0].case.id).run()
    submit(session, "Reader 2", two_islands(), RaterKind.SIMULATED)
    submit(session, "Reader 1", read_of(0))
    return session


@pytest.fixture
def complete(blind: Session) -> Session:
    """The third read is in; Reader 3 is the present one."""
    submit(blind, "Reader 3", read_of(2), RaterKind.SIMULATED)
    return blind


def merged(qtbot: QtBot, session: Session) -> AgreeWorkspace:
    workspace = shown(qtbot, session)
    qtbot.waitUntil(lambda: workspace.model.view is not None, timeout=20_000)
    return workspace


def test_without_a_case_it_says_where_cases_are(qtbot: QtBot) -> None:
    workspace = shown(qtbot, Session())
    assert "Open a case in Cases" in workspace.empty.text


def test_while_reads_are_missing_it_shows_how_many_and_nothing_else(qtbot: QtBot, blind: Session) -> None:
    workspace = shown(qtbot, blind)
    assert workspace.model.phase is Phase.BLIND
    assert "Reading blind: 1 read missing" in workspace.empty.text
    assert "Reader 2" not in workspace.empty.text
    assert workspace.model.reads == ()
    assert workspace.model.view is None
    assert not workspace.views.isVisible()


def test_a_reader_who_has_not_voted_sees_nothing_even_when_all_others_have(qtbot: QtBot, complete: Session) -> None:
    complete.use_rater("Reader 4").run()
    workspace = shown(qtbot, complete)
    assert workspace.model.phase is Phase.BLIND
    assert "Submit your own read first" in workspace.empty.text
    assert "Yours is not in yet" in workspace.empty.text


def test_the_last_read_opens_the_case_and_merges_it(qtbot: QtBot, blind: Session) -> None:
    workspace = shown(qtbot, blind)
    submit(blind, "Reader 3", read_of(2))
    qtbot.waitUntil(lambda: workspace.model.view is not None, timeout=20_000)
    assert workspace.views.isVisible()


def test_the_figures_are_those_of_the_merge(qtbot: QtBot, complete: Session) -> None:
    workspace = merged(qtbot, complete)
    workspace.model.settings.method.value = Method.MAJORITY
    qtbot.waitUntil(
        lambda: workspace.model.view is not None and workspace.model.view.method == "majority", timeout=20_000
    )
    masks = np.stack([read.array for read in (read_of(0), two_islands(), read_of(2))])
    votes = masks.sum(axis=0)
    texts = {caption: value for value, caption in workspace.what_if.figures.texts()}
    assert texts["agreed voxels"] == str(np.count_nonzero(votes >= 2))
    assert texts["disputed"] == str(np.count_nonzero((votes > 0) & (votes < 3)))
    assert texts["undecided"] == "0"


def test_simulated_readers_are_labelled_wherever_they_are_named(qtbot: QtBot, complete: Session) -> None:
    workspace = merged(qtbot, complete)
    labels = [row.style.label for row in workspace.what_if.readers.rows]
    assert labels == ["Reader 1", "Reader 2 (simulated)", "Reader 3 (simulated)"]


def test_every_reader_is_drawn_in_an_own_colour(qtbot: QtBot, complete: Session) -> None:
    workspace = merged(qtbot, complete)
    assert len({read.style.colour_rgb for read in workspace.model.reads}) == 3
    row = workspace.what_if.readers.rows[1]
    workspace.what_if.readers.ticked.emit(row, False)
    assert [read.style.name for read in workspace.model.reads] == ["Reader 1", "Reader 3"]


def test_a_changed_setting_is_merged_again_and_a_bad_one_is_told(qtbot: QtBot, complete: Session) -> None:
    workspace = merged(qtbot, complete)
    workspace.controls.method.setCurrentIndex(list(Method).index(Method.QUORUM))
    assert workspace.model.settings.method.value is Method.QUORUM
    workspace.controls.quorum.clear()
    qtbot.keyClicks(workspace.controls.quorum, "most")
    assert "quorum is a fraction" in workspace.controls.problem
    assert not workspace.record_button.isEnabled()
    workspace.model.settings.quorum.value = "3/3"
    qtbot.waitUntil(
        lambda: workspace.model.view is not None and workspace.model.view.method == "quorum", timeout=20_000
    )
    # All three must agree, for a label as for background.
    assert workspace.model.view is not None
    assert workspace.model.view.undecided_voxels == workspace.model.view.disputed_voxels


def test_the_keys_walk_through_the_disputes_and_the_views_follow(qtbot: QtBot, complete: Session) -> None:
    workspace = merged(qtbot, complete)
    items = workspace.model.disputes.items
    # The lone voxel, and the two ends of the moved box.
    assert [row.voxels for row in items] == [30, 30, 1]
    qtbot.keyClick(workspace, Qt.Key.Key_N)
    assert workspace.views.cursor_kji == items[0].centre_kji
    qtbot.keyClick(workspace, Qt.Key.Key_N, Qt.KeyboardModifier.ShiftModifier)
    assert workspace.views.cursor_kji == items[2].centre_kji == (7, 2, 2)
    assert workspace.disputes.selected_row() is items[2]


def test_a_dispute_says_who_drew_what(qtbot: QtBot, complete: Session) -> None:
    workspace = merged(qtbot, complete)
    lone = workspace.model.disputes.items[2]
    assert lone.split == "2-1"
    assert lone.who == "background: Reader 1, Reader 3; Label 1: Reader 2"


def test_the_heat_map_can_be_switched_off(qtbot: QtBot, complete: Session) -> None:
    workspace = merged(qtbot, complete)
    assert workspace.model.heat is not None
    assert [label.name for label in workspace.model.heat.table] == ["1 of 3 deviate", "all 3 agree"]
    workspace.views.heat.setChecked(False)
    assert workspace.model.heat is None


def test_recording_makes_the_case_agreed_once(qtbot: QtBot, complete: Session) -> None:
    workspace = merged(qtbot, complete)
    workspace.record_button.click()
    qtbot.waitUntil(lambda: workspace.model.is_recorded, timeout=20_000)
    assert complete.cases[0].status is CaseStatus.AGREED
    assert not workspace.record_button.isEnabled()
    assert workspace.record_button.text() == "Recorded"


def test_another_case_shows_nothing_of_the_one_before(qtbot: QtBot, complete: Session) -> None:
    workspace = merged(qtbot, complete)
    complete.open_case(complete.cases[1].case.id).run()
    assert workspace.model.phase is Phase.BLIND
    assert workspace.model.reads == ()
    assert workspace.model.disputes.items == ()
    assert workspace.model.heat is None


def test_nothing_is_merged_for_nobody(qtbot: QtBot, complete: Session) -> None:
    workspace, jobs = on_screen(qtbot, AgreeWorkspace, complete, is_shown=False)
    assert workspace.model.needs_merge
    assert jobs.running == ()


def test_a_merge_made_elsewhere_shows_how_it_was_made(qtbot: QtBot, complete: Session) -> None:
    workspace = merged(qtbot, complete)
    complete.panel.merge("quorum", "3/3", "whole", 4).run()
    assert workspace.model.settings.method.value is Method.QUORUM
    assert workspace.controls.method.currentText() == "Quorum"
    assert workspace.model.is_up_to_date


def test_a_later_read_is_merged_too(qtbot: QtBot, complete: Session) -> None:
    workspace = merged(qtbot, complete)
    submit(complete, "Reader 4", read_of(0))
    qtbot.waitUntil(lambda: workspace.model.view is not None and len(workspace.model.view.names) == 4, timeout=20_000)


def test_nothing_is_recorded_under_settings_that_are_not_merged_yet(qtbot: QtBot, complete: Session) -> None:
    workspace = merged(qtbot, complete)
    assert workspace.record_button.isEnabled()
    workspace.model.settings.method.value = Method.MAJORITY
    assert not workspace.record_button.isEnabled()
    qtbot.waitUntil(workspace.record_button.isEnabled, timeout=20_000)


def test_read_and_agree_look_at_one_place(
    qtbot: QtBot, make_window: Callable[[], MainWindow], complete: Session
) -> None:
    window = make_window()
    window.attach(complete)
    assert window.desktop is not None
    window.desktop.read.look_at((1, 2, 3))
    window.go_to(Place.AGREE)
    agree = window.desktop.page(Place.AGREE)
    assert isinstance(agree, AgreeWorkspace)
    assert agree.views.cursor_kji == (1, 2, 3)
    agree.views.go_to((2, 3, 4))
    assert window.desktop.read.desk is not None
    assert window.desktop.read.desk.views.cursor_kji.value == (2, 3, 4)
    settle(qtbot, window)
