from __future__ import annotations

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from segdesk.io import write_labels
from segdesk.session import Session
from segdesk.ui.workspaces.score import ScoreWorkspace
from tests.ui.desks import desk_with_cases, on_screen, read_of, submit


def shown(qtbot: QtBot, session: Session) -> ScoreWorkspace:
    workspace, _ = on_screen(qtbot, ScoreWorkspace, session)
    return workspace


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """One case, read once (one read is enough), with an imported reference."""
    session = desk_with_cases(tmp_path, 1, reads=1)
    session.open_case(session.cases[0].case.id).run()
    submit(session, "Reader 1", read_of(1))
    write_labels(read_of(0), tmp_path / "truth.nii.gz")
    session.scores.import_reference(tmp_path / "truth.nii.gz").run()
    return session


def test_without_a_case_it_says_where_cases_are(qtbot: QtBot) -> None:
    workspace = shown(qtbot, Session())
    assert "Open a project first" in workspace.empty.text
    assert not any(button.isVisible() for button in workspace.empty.buttons)


def test_an_open_case_can_be_scored_at_once(qtbot: QtBot, session: Session) -> None:
    workspace = shown(qtbot, session)
    assert "Not scored yet" in workspace.empty.text
    workspace.empty.buttons[0].click()
    qtbot.waitUntil(lambda: bool(workspace.table.rows), timeout=10_000)
    (row,) = workspace.table.rows
    # 5 columns of which 4 are shared: 2 * 4 / (5 + 5)
    assert row.dice == pytest.approx(0.8)
    assert row.rater.label == "Reader 1"


def test_a_row_leads_to_a_voxel_where_the_masks_differ(qtbot: QtBot, session: Session) -> None:
    workspace = shown(qtbot, session)
    session.scores.evaluate_against_reference().run()
    with qtbot.waitSignal(workspace.place_asked, timeout=10_000) as asked:
        workspace.table.activated_row.emit(workspace.table.rows[0])
    k, j, i = asked.args[0]
    assert bool(read_of(0).array[k, j, i]) != bool(read_of(1).array[k, j, i])


def test_the_plot_shows_a_dot_per_label(qtbot: QtBot, session: Session) -> None:
    workspace = shown(qtbot, session)
    session.scores.evaluate_against_reference().run()
    (group,) = workspace.overview.plot.groups
    assert group.values == pytest.approx((0.8,))


def test_an_export_that_fails_says_why_where_it_happened(qtbot: QtBot, session: Session, tmp_path: Path) -> None:
    workspace = shown(qtbot, session)
    session.scores.evaluate_against_reference().run()
    workspace.export(tmp_path / "missing" / "scores.csv")
    qtbot.waitUntil(lambda: bool(workspace.problems.texts), timeout=10_000)
    workspace.export(tmp_path / "scores.txt")
    assert ".csv or .json" in workspace.problems.texts[0]


def test_an_export_writes_the_file(qtbot: QtBot, session: Session, tmp_path: Path) -> None:
    workspace = shown(qtbot, session)
    session.scores.evaluate_against_reference().run()
    workspace.export(tmp_path / "scores.json")
    qtbot.waitUntil((tmp_path / "scores.json").is_file, timeout=10_000)
    assert workspace.problems.texts == ()


def test_a_case_without_reference_says_what_to_do(qtbot: QtBot, tmp_path: Path) -> None:
    session = desk_with_cases(tmp_path, 1)
    session.open_case(session.cases[0].case.id).run()
    workspace = shown(qtbot, session)
    workspace.evaluate()
    qtbot.waitUntil(lambda: bool(workspace.problems.texts), timeout=10_000)
    assert "record a consensus or import a reference" in workspace.problems.texts[0]


def test_another_case_clears_the_scores(qtbot: QtBot, tmp_path: Path) -> None:
    session = desk_with_cases(tmp_path, 2, reads=1)
    session.open_case(session.cases[0].case.id).run()
    write_labels(read_of(0), tmp_path / "truth.nii.gz")
    submit(session, "Reader 1", read_of(0))
    session.scores.import_reference(tmp_path / "truth.nii.gz").run()
    workspace = shown(qtbot, session)
    session.scores.evaluate_against_reference().run()
    assert workspace.table.rows
    session.open_case(session.cases[1].case.id).run()
    assert not workspace.table.rows
