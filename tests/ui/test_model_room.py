"""Browser, queue, heat, label by label: the window round models, on a real project with toy models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QTextDocument
from pytestqt.qtbot import QtBot

from segdesk.session import Session, SessionSettings
from segdesk.ui.actions import Act
from segdesk.ui.desktop import Desktop
from segdesk.ui.main_window import MainWindow
from segdesk.zoo.spec import LabelSpec
from tests.session.toys import RuleInsight, UnsurePredictor
from tests.ui.conftest import settle
from tests.ui.desks import image_file
from tests.zoo.folders import WEIGHTS, folder

LABELS = (
    LabelSpec(value=1, name="thing", colour_rgb=(1, 2, 3)),
    LabelSpec(value=4, name="other", colour_rgb=(9, 8, 7)),
)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    settings = SessionSettings(desk_folder=tmp_path / "desk", run_times_file=tmp_path / "times.json")
    made = Session(UnsurePredictor(), settings=settings, insight=RuleInsight())
    made.create_project(tmp_path / "project", "Panel").run()
    images = tmp_path / "images"
    images.mkdir()
    cases = made.add_images([image_file(images, f"case-{n}", n) for n in range(3)]).run()
    assert made.project is not None
    made.project.models_folder.mkdir(exist_ok=True)
    folder(made.project.models_folder / "toy", WEIGHTS, labels=LABELS, title="A toy")
    made.open_case(cases[0].id).run()
    return made


@pytest.fixture
def desktop(qtbot: QtBot, window: MainWindow, session: Session) -> Desktop:
    assert window.desktop is not None
    assert session.project is not None
    window.desktop.read.predict.choose(session.project.models_folder / "toy")
    settle(qtbot, window)
    window.ui.actions[Act.TOOL_PREDICT].trigger()
    return window.desktop


def test_the_browser_tells_all_of_a_model_and_it_is_used(
    qtbot: QtBot, window: MainWindow, desktop: Desktop, session: Session
) -> None:
    browser = desktop.models.show_models()
    settle(qtbot, window)
    assert browser.page is not None
    assert browser.page.spec.identity == "toy@1"
    assert browser.fit.text() == "Fits the open case"
    assert browser.hash.text().endswith("the weights are those of model.json")
    assert browser.time.text() == (
        "About 3.0 s on CPU: 6 windows, from one window timed just now; reading and preparing the image come on top."
    )
    facts = dict(browser.page.facts)
    assert facts["Validation"] == "No test score comes with this model."
    assert facts["Place"] == "This project: toy"
    browser.search.setText("hippocampus anterior")
    assert [browser.list.item(row).text().split("\n")[0] for row in range(browser.list.count())] == [
        "hippocampus-unet3d@1"
    ]
    browser.search.setText("no such model")
    assert browser.page is None
    assert not browser.use.isEnabled()
    browser.search.setText("toy")
    settle(qtbot, window)
    browser.use.click()
    settle(qtbot, window)
    assert desktop.read.predict.model.currentText() == "toy@1"


def test_the_card_fetches_nothing_and_changed_weights_cannot_be_used(
    qtbot: QtBot, window: MainWindow, desktop: Desktop, session: Session, tmp_path: Path
) -> None:
    assert session.project is not None
    model = session.project.models_folder / "toy"
    (model / "MODEL_CARD.md").write_text(
        "# Toy\n\n![x](http://example.org/x.png)\n\n## Limits\n\n- Toys\n  only\n\n# End\n"
    )
    weights = bytearray((model / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (model / "weights.safetensors").write_bytes(weights)
    browser = desktop.models.show_models()
    settle(qtbot, window)
    assert browser.card.loadResource(QTextDocument.ResourceType.ImageResource.value, QUrl("http://x")) is None
    assert browser.page is not None
    assert dict(browser.page.facts)["Limits"] == "Toys only"
    assert "not those its model.json names" in browser.hash.text()
    assert not browser.use.isEnabled()
    browser.reject()


def test_a_model_is_exported_and_a_damaged_one_is_named(
    qtbot: QtBot, window: MainWindow, desktop: Desktop, session: Session, tmp_path: Path
) -> None:
    assert session.project is not None
    (session.project.models_folder / "broken").mkdir()
    (session.project.models_folder / "broken" / "model.json").write_text("{}")
    browser = desktop.models.show_models()
    settle(qtbot, window)
    assert "broken" in browser.damaged.text()
    assert browser.page is not None
    browser.export_to(browser.page, tmp_path / "toy.zip")
    settle(qtbot, window)
    assert (tmp_path / "toy.zip").stat().st_size > 0
    browser.reject()


def test_all_cases_are_drafted_in_the_queue_and_previewed_later(
    qtbot: QtBot, window: MainWindow, desktop: Desktop, session: Session
) -> None:
    desktop.read.predict.queue_button.click()
    queue = desktop.models.show_queue()
    settle(qtbot, window)
    assert queue.summary.text() == "3 of 3 drafted"
    assert not queue.cancel_all.isEnabled()
    assert session.drafts.candidate.value is None
    second = session.queue.rows[1]
    queue.rows[second.number].open.click()
    settle(qtbot, window)
    assert session.case is not None
    assert session.case.record.id == second.case_id
    qtbot.waitUntil(lambda: session.drafts.candidate.value is not None)
    queue.clear.click()
    assert queue.rows == {}
    queue.close()


def test_the_queue_holds_pauses_resumes_and_cancels(
    qtbot: QtBot, window: MainWindow, desktop: Desktop, session: Session
) -> None:
    queue = desktop.models.show_queue()
    queue.hold.click()
    desktop.read.predict.queue_all()
    first, second = (row.number for row in session.queue.rows[:2])
    queue.rows[first].pause.click()
    queue.rows[second].cancel.click()
    assert "on hold" in queue.summary.text()
    queue.hold.click()
    settle(qtbot, window)
    assert queue.summary.text() == "1 of 3 drafted · 1 paused · 1 cancelled"
    queue.rows[first].pause.click()
    settle(qtbot, window)
    assert queue.summary.text() == "2 of 3 drafted · 1 cancelled"
    queue.close()


def test_a_draft_is_accepted_label_by_label(
    qtbot: QtBot, window: MainWindow, desktop: Desktop, session: Session
) -> None:
    read = desktop.read
    read.predict.run_model()
    settle(qtbot, window)
    ticks = read.predict.judge.ticks
    assert [(tick.text(), tick.isEnabled()) for tick in ticks.values()] == [("thing", True), ("other", False)]
    assert read.desk is not None
    ticks[1].click()
    assert not read.predict.judge.accept_button.isEnabled()
    assert read.desk.views.unticked == {1}
    read.accept_draft()
    assert "ticked" in read.tools.notice.value
    ticks[1].click()
    window.ui.actions[Act.ACCEPT_DRAFT].trigger()
    assert session.case is not None
    assert set(np.unique(session.case.labels.array)) == {0, 1}
    assert session.editor.undo_name.value == "Accept toy"


@pytest.mark.parametrize(("kind", "title"), [(0, "Uncertainty (entropy)"), (2, "Grad-CAM: other")])
def test_heat_is_shown_styled_hidden_and_removed(
    qtbot: QtBot, window: MainWindow, desktop: Desktop, session: Session, kind: int, title: str
) -> None:
    panel, read = desktop.read.predict.heat, desktop.read
    desktop.read.predict.fold.click()
    panel.kind.setCurrentIndex(kind)
    panel.label.setCurrentIndex(1)
    assert panel.label.isVisible() == (kind == 2)
    panel.button.click()
    assert panel.button.text() == "Cancel"
    settle(qtbot, window)
    assert read.desk is not None
    overlay = read.desk.views.shown_heat
    assert overlay is not None
    assert overlay.heat_map.title == title
    panel.opacity.setValue(25)
    assert read.desk.views.heat.value is not None
    assert read.desk.views.heat.value.style.opacity == 0.25
    window.ui.actions[Act.HEAT].trigger()
    assert read.desk.views.shown_heat is None
    panel.remove.click()
    assert read.desk.views.heat.value is None
    assert panel.button.text() == "Show it"


def test_heat_goes_away_with_the_case(qtbot: QtBot, window: MainWindow, desktop: Desktop, session: Session) -> None:
    desktop.read.predict.heat.button.click()
    settle(qtbot, window)
    window.ui.actions[Act.NEXT_CASE].trigger()
    settle(qtbot, window)
    assert desktop.read.desk is not None
    assert desktop.read.desk.views.heat.value is None
    assert session.heat.shown.value is None


def test_the_inside_of_a_network_is_shown(qtbot: QtBot, window: MainWindow, desktop: Desktop, session: Session) -> None:
    dialog = desktop.models.show_inside()
    assert dialog is not None
    settle(qtbot, window)
    assert dialog.layer.currentText() == "conv   (1 maps, 2 × 2)"
    assert (dialog.maps.count, dialog.filters.count) == (2, 1)
    assert "Axial slice 5" in dialog.state.text()
    dialog.reject()
