"""Browser, queue, heat, label by label: the window round models, on a real project with toy models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QTextDocument
from pytestqt.qtbot import QtBot

from segdesk.core.box import Box
from segdesk.core.explanation import ExplainMethod
from segdesk.errors import SaveFailed
from segdesk.session import HeatMap, Session, SessionSettings
from segdesk.store.judgements import JudgementStore
from segdesk.ui.actions import Act, Place
from segdesk.ui.desktop import Desktop
from segdesk.ui.main_window import MainWindow
from segdesk.ui.models.case_list_model import CASE_COLUMNS
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


def test_cases_a_model_does_not_fit_are_left_out_with_the_reason_and_run_when_told(
    qtbot: QtBot, window: MainWindow, desktop: Desktop, session: Session
) -> None:
    assert session.project is not None
    crops = folder(
        session.project.models_folder / "crops", WEIGHTS, name="crops", spacing_kji_mm=(1.0, 1.0, 1.0),
        trained_extent_kji_mm=(2.0, 2.0, 2.0),
    )  # fmt: skip
    desktop.read.predict.choose(crops.path)
    settle(qtbot, window)
    desktop.read.predict.queue_button.click()
    queue = desktop.models.show_queue()
    settle(qtbot, window)
    assert queue.summary.text() == "0 of 3 drafted · 3 left out: the model does not fit"
    first = next(iter(queue.rows.values()))
    assert first.row is not None
    assert first.row.state == "Fits a part"
    assert first.row.detail.startswith("The image is ")
    assert (first.open.text(), first.pause.toolTip()) == ("Open", "Draft the whole image all the same")
    assert first.height() >= first.heightForWidth(first.width())
    first.pause.click()
    settle(qtbot, window)
    assert queue.summary.text() == "1 of 3 drafted · 2 left out: the model does not fit"
    assert (first.row.state, first.open.text()) == ("Draft stored", "Preview")
    queue.close()


def test_what_the_queue_will_take_is_told_while_it_waits(
    qtbot: QtBot, window: MainWindow, desktop: Desktop, session: Session
) -> None:
    queue = desktop.models.show_queue()
    queue.hold.click()
    desktop.read.predict.queue_all()
    settle(qtbot, window)
    assert queue.summary.text().endswith("3 waiting · about 9.0 s to go · on hold: no further case begins")
    first = next(iter(queue.rows.values()))
    assert first.row is not None
    assert first.row.detail == "about 3.0 s"
    session.queue.cancel_all()
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


def test_what_was_decided_on_drafts_is_shown_beside_them(
    qtbot: QtBot, window: MainWindow, desktop: Desktop, session: Session
) -> None:
    read = desktop.read
    read.predict.run_model()
    settle(qtbot, window)
    window.ui.actions[Act.REJECT_DRAFT].trigger()
    settle(qtbot, window)
    stored = read.predict.stored
    assert stored.choice.currentText().endswith("toy@1 · rejected")
    tip = stored.choice.itemData(0, Qt.ItemDataRole.ToolTipRole)
    assert tip.endswith("Reader 1: rejected")
    window.ui.actions[Act.GO_CASES].trigger()
    settle(qtbot, window)
    rows = {row.case.id: row for row in desktop.page(Place.CASES).model.rows}
    assert session.case is not None
    row = rows[session.case.record.id]
    (column,) = (each for each in CASE_COLUMNS if each.title == "Draft")
    assert column.text(row) == "rejected"
    assert row.reason == "Draft rejected, 3 reads missing"
    window.ui.actions[Act.GO_READ].trigger()
    stored.button.click()
    settle(qtbot, window)
    window.ui.actions[Act.ACCEPT_DRAFT].trigger()
    settle(qtbot, window)
    assert stored.choice.currentText().endswith("toy@1 · accepted")


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
    assert panel.button.text() == "Show over the image"


def test_the_crosshair_goes_to_the_peak_and_the_status_bar_reads_the_map(
    qtbot: QtBot, window: MainWindow, desktop: Desktop, session: Session
) -> None:
    panel, desk = desktop.read.predict.heat, desktop.read.desk
    assert desk is not None
    array = np.zeros(desk.views.volume.array.shape, np.float32)
    array[2, 3, 4] = 0.75
    session.heat.shown.value = HeatMap.of(ExplainMethod.GRADCAM, "Grad-CAM: thing", "toy@1", array, {})
    panel.peak.click()
    assert desk.views.cursor_kji.value == (2, 3, 4)
    desk.views.probe_kji.value = (2, 3, 4)
    assert window.status.value.text().endswith("Grad-CAM: thing 0.75")
    session.heat.shown.value = HeatMap.of(ExplainMethod.GRADCAM, "Grad-CAM: thing", "toy@1", 0 * array, {})
    assert not panel.peak.isEnabled()


def test_a_run_that_is_stopped_says_so_until_it_has_ended(
    qtbot: QtBot, window: MainWindow, desktop: Desktop, session: Session
) -> None:
    panel = desktop.read.predict.heat
    panel.button.click()
    panel.button.click()
    assert (panel.button.text(), panel.button.isEnabled()) == ("Stopping…", False)
    settle(qtbot, window)
    assert (panel.button.text(), panel.button.isEnabled()) == ("Show over the image", True)


def test_mirrored_copies_are_offered_to_models_that_know_them(
    qtbot: QtBot, window: MainWindow, desktop: Desktop, session: Session
) -> None:
    assert session.project is not None
    panel, models = desktop.read.predict.heat, session.project.models_folder
    panel.kind.setCurrentIndex(1)
    assert not panel.button.isEnabled()
    assert "does not say whether it was trained on mirrored images" in panel.help.text()
    panel.kind.setCurrentIndex(0)
    assert panel.button.isEnabled()
    folder(models / "mirrored", WEIGHTS, labels=LABELS, name="mirrored", flip_axes=("i",))
    desktop.read.predict.choose(models / "mirrored")
    settle(qtbot, window)
    panel.kind.setCurrentIndex(1)
    assert panel.button.isEnabled()


def test_heat_is_offered_for_the_labels_of_the_model_of_the_draft(
    qtbot: QtBot, window: MainWindow, desktop: Desktop, session: Session
) -> None:
    assert session.project is not None
    predict = desktop.read.predict
    predict.run_model()
    settle(qtbot, window)
    other = (LabelSpec(value=9, name="elsewhere", colour_rgb=(1, 1, 1)),)
    folder(session.project.models_folder / "other", WEIGHTS, labels=other, name="other")
    predict.choose(session.project.models_folder / "other")
    settle(qtbot, window)
    assert predict.model.currentText() == "other@1"
    assert [predict.heat.label.itemText(row) for row in range(predict.heat.label.count())] == ["thing", "other"]
    session.drafts.reject()
    assert [predict.heat.label.itemText(row) for row in range(predict.heat.label.count())] == ["elsewhere"]


def test_a_decision_that_cannot_be_written_keeps_the_window_open(
    qtbot: QtBot, window: MainWindow, desktop: Desktop, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise SaveFailed("The disk is full.")

    desktop.read.predict.run_model()
    settle(qtbot, window)
    with monkeypatch.context() as patched:
        patched.setattr(JudgementStore, "append", full)
        session.drafts.reject()
        settle(qtbot, window)
        window.close()
        assert window.isVisible()
        assert "decided on a draft is not saved" in window.messages.text
    window.close()
    assert not window.isVisible()
    assert session.judging.waiting == 0


def test_a_region_is_advised_where_the_image_is_many_windows_large(
    qtbot: QtBot, window: MainWindow, desktop: Desktop, session: Session
) -> None:
    assert session.project is not None
    predict = desktop.read.predict
    folder(session.project.models_folder / "small", WEIGHTS, labels=LABELS, name="small", patch_kji=(2, 4, 4))
    assert predict.hint.text().startswith("Drag a box in a view to draft only there")
    predict.choose(session.project.models_folder / "small")
    settle(qtbot, window)
    assert predict.hint.text().startswith("The image is 63 times as large as what this model sees at once")
    browser = desktop.models.show_models()
    settle(qtbot, window)
    assert browser.reasons.text().startswith("The image is 63 times as large")
    browser.reject()
    desktop.read.tools.roi.value = Box((0, 0, 0), (4, 8, 8))
    assert predict.hint.text().startswith("Drag a box in a view to draft only there")


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
    assert dialog.problem.isHidden()
    assert dialog.maps.text_at(1, 1) == "The slice as the network sees it: 0 to 0"
    assert dialog.maps.text_at(100, 1) == "Map 1 of 1: 0 to 0"
    assert dialog.filters.text_at(1, 1) == "Filter 1 of 1: 0 to 0"
    # Between tiles, and where there is none.
    assert (dialog.maps.text_at(95, 1), dialog.maps.text_at(1, 200)) == ("", "")
    dialog.reject()


def test_the_model_that_suits_the_case_is_offered_until_the_user_chooses(
    qtbot: QtBot, window: MainWindow, session: Session
) -> None:
    assert session.project is not None
    assert window.desktop is not None
    predict = window.desktop.read.predict
    folder(session.project.models_folder / "aaa", WEIGHTS, dimensions=2, patch_kji=(1, 8, 8), name="aaa")
    predict.find_models()
    settle(qtbot, window)
    assert predict.model.itemText(0) == "aaa@1"
    assert predict.model.currentText() == "toy@1"
    predict.choose(session.project.models_folder / "aaa")
    settle(qtbot, window)
    session.open_case(session.cases[1].case.id).run()
    settle(qtbot, window)
    assert predict.model.currentText() == "aaa@1"
