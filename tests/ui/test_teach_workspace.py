from __future__ import annotations

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from segdesk.core.training import TrainingJob
from segdesk.io import write_labels
from segdesk.session import Budget, Session
from segdesk.ui.models.training_model import RunState
from segdesk.ui.workspaces.teach import TeachWorkspace
from tests.session.toys import toy_model
from tests.ui.desks import ScriptedRun, ScriptedTrainer, desk_with_cases, on_screen, read_of

PROGRESS = {"event": "progress", "step": 10, "steps": 40, "loss": 0.7, "seconds": 1.0, "seconds_left": 3.0}
VALIDATION = {"event": "validation", "step": 20, "mean_dice": 0.8, "labels": {"1": 0.8}, "n_cases": 1}


def result(verdict: str) -> dict[str, object]:
    return {
        "event": "result",
        "verdict": verdict,
        "reason": "Because of the test patients.",
        "champion": {"mean": {"dice": 0.8}},
        "challenger": {"mean": {"dice": 0.82}},
        "test_cases": ["a", "b"],
        "promoted": False,
        "model": "m",
    }


class Trainer(ScriptedTrainer):
    """Also writes the challenger's folder, as a real child does."""

    def start(self, job: TrainingJob) -> ScriptedRun:
        toy_model(job.out, 7)
        return super().start(job)


def desk(tmp_path: Path, *script: list[dict[str, object]]) -> tuple[Session, Trainer]:
    """A project with one case that has a reference, and a trainer that says the script."""
    trainer = Trainer(script)
    session = desk_with_cases(tmp_path, 2, trainer=trainer)
    session.open_case(session.cases[0].case.id).run()
    write_labels(read_of(0), tmp_path / "truth.nii.gz")
    session.scores.import_reference(tmp_path / "truth.nii.gz").run()
    assert session.project is not None
    session.project.models_folder.mkdir(exist_ok=True)
    toy_model(session.project.models_folder / "toy")
    return session, trainer


def shown(qtbot: QtBot, session: Session) -> TeachWorkspace:
    workspace, _ = on_screen(qtbot, TeachWorkspace, session)
    return workspace


def train(qtbot: QtBot, workspace: TeachWorkspace) -> None:
    qtbot.waitUntil(workspace.setup.start_button.isEnabled, timeout=10_000)
    workspace.setup.start_button.click()
    qtbot.waitUntil(lambda: not workspace.model.is_running, timeout=20_000)


def test_without_a_project_it_says_what_to_do(qtbot: QtBot) -> None:
    workspace = shown(qtbot, Session())
    assert workspace.empty.isVisible()
    assert "Open a project" in workspace.empty.text


def test_a_project_without_references_cannot_train_and_says_why(qtbot: QtBot, tmp_path: Path) -> None:
    workspace = shown(qtbot, desk_with_cases(tmp_path, 1, trainer=Trainer(())))
    assert workspace.model.why_not_start() == "No case has a reference yet."
    assert not workspace.setup.start_button.isEnabled()


def test_an_imported_reference_can_be_learnt_from(qtbot: QtBot, tmp_path: Path) -> None:
    session, _ = desk(tmp_path)
    workspace = shown(qtbot, session)
    qtbot.waitUntil(lambda: workspace.model.data.usable == 1, timeout=10_000)
    assert workspace.model.data.left_out_text() == "1 case not read yet"


def test_the_curves_and_the_log_follow_the_run(qtbot: QtBot, tmp_path: Path) -> None:
    session, _ = desk(tmp_path, [PROGRESS], [VALIDATION, PROGRESS], [result("tie")])
    workspace = shown(qtbot, session)
    train(qtbot, workspace)
    assert workspace.progress.loss_view.points_of("loss") == ([10, 10], [0.7, 0.7])
    assert workspace.progress.dice_view.points_of("mean") == ([20], [0.8])
    lines = [workspace.progress.log.item(n).text() for n in range(workspace.progress.log.count())]
    assert "Step 20: Dice 0.800 on 1 validation case." in lines
    assert any(line.startswith("Left out: case-1") for line in lines)


@pytest.mark.parametrize(
    ("verdict", "lawful"), [("better", True), ("tie", True), ("worse", False), ("cannot_judge", False)]
)
def test_promotion_is_offered_only_when_it_is_lawful(qtbot: QtBot, tmp_path: Path, verdict: str, lawful: bool) -> None:
    session, _ = desk(tmp_path, [result(verdict)])
    workspace = shown(qtbot, session)
    train(qtbot, workspace)
    assert workspace.verdict.promote_button.isEnabled() is lawful
    assert workspace.verdict.reason == "Because of the test patients."


def test_a_promoted_challenger_is_champion_and_can_be_rolled_back(qtbot: QtBot, tmp_path: Path) -> None:
    session, _ = desk(tmp_path, [result("better")])
    workspace = shown(qtbot, session)
    train(qtbot, workspace)
    workspace.verdict.promote_button.click()
    qtbot.waitUntil(workspace.verdict.roll_back_button.isEnabled, timeout=10_000)
    champions = [row.name for row in workspace.model.lineage if row.is_champion]
    assert champions == ["toy-0001"]
    assert not workspace.verdict.promote_button.isEnabled()
    workspace.verdict.roll_back_button.click()
    qtbot.waitUntil(lambda: [r.name for r in workspace.model.lineage if r.is_champion] == ["toy"], timeout=10_000)


def test_a_run_can_be_stopped(qtbot: QtBot, tmp_path: Path) -> None:
    session, trainer = desk(tmp_path, *([[PROGRESS]] * 1000))
    workspace = shown(qtbot, session)
    qtbot.waitUntil(workspace.setup.start_button.isEnabled, timeout=10_000)
    workspace.setup.start_button.click()
    qtbot.waitUntil(workspace.setup.stop_button.isEnabled, timeout=10_000)
    workspace.setup.stop_button.click()
    qtbot.waitUntil(lambda: workspace.model.state is RunState.DONE, timeout=10_000)
    assert trainer.run is not None
    assert trainer.run.was_stopped
    assert workspace.model.story.log[-1].text == "Stopped."


def test_a_child_that_dies_is_told_with_its_log(qtbot: QtBot, tmp_path: Path) -> None:
    session, _ = desk(tmp_path, [PROGRESS])
    workspace = shown(qtbot, session)
    train(qtbot, workspace)
    assert workspace.model.state is RunState.DIED
    assert "read the log in" in workspace.model.story.log[-1].text


def test_a_run_somebody_else_polled_is_shown_all_the_same(qtbot: QtBot, tmp_path: Path) -> None:
    session, _ = desk(tmp_path, [PROGRESS], [result("tie")])
    assert session.project is not None
    session.teaching.start(session.project.models_folder / "toy", Budget(steps=3)).run()
    session.teaching.poll()
    session.teaching.poll()
    workspace = shown(qtbot, session)
    assert workspace.model.state is RunState.DONE
    assert workspace.verdict.headline == "No difference found"
