"""The program starts, or says in one line why it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from segdesk import app
from segdesk.ui.models.sample import sample_image
from tests.ui.desks import image_file


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the user's own settings and projects out of it."""
    for name in ("DATA", "CONFIG", "CACHE", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    return tmp_path


def test_without_a_display_there_is_one_clear_line_and_exit_2(tmp_path: Path) -> None:
    bare = {
        key: value for key, value in os.environ.items() if key not in {"DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"}
    }
    done = subprocess.run(
        [sys.executable, "-m", "segdesk"], env=bare, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "no display" in done.stderr


def test_missing_libraries_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_XCB_LIBRARIES", ("libsegdesk-has-not.so.9",))
    text = app.display_problem({"DISPLAY": ":0"}, "linux")
    assert "libsegdesk-has-not.so.9" in text
    assert "libxcb-cursor0" in text
    with pytest.raises(app.CannotShow, match="libsegdesk-has-not") as caught:
        app.make_application({"DISPLAY": ":0"})
    assert caught.value.code == "missing_library"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="X11 is asked on Linux only")
def test_a_display_that_does_not_answer_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_XCB_LIBRARIES", ())
    text = app.display_problem({"DISPLAY": ":7654"}, "linux")
    assert "display :7654 does not answer" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("environment", "platform"),
    [({"QT_QPA_PLATFORM": "offscreen"}, "linux"), ({"WAYLAND_DISPLAY": "w"}, "linux"), ({}, "darwin"), ({}, "win32")],
)
def test_nothing_is_asked_of_other_platforms(environment: dict[str, str], platform: str) -> None:
    assert app.display_problem(environment, platform) == ""


def test_the_window_opens_the_image_it_is_given_and_keeps_the_settings(
    qtbot: QtBot, qapp: QApplication, home: Path
) -> None:
    window = app.make_window(qapp, [image_file(home, "given")])
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: window.desktop is not None and window.desktop.session.case is not None, timeout=30_000)
    assert window.desktop is not None
    window.desktop.session.editor.brush_radius_mm.value = 2.5
    qtbot.waitUntil(lambda: not window.ui.jobs.running, timeout=30_000)
    window.close()
    again = app.make_window(qapp, [])
    qtbot.addWidget(again)
    assert again.ui.settings.of("brush.radius_mm").value == 2.5
    qtbot.waitUntil(lambda: again.desktop is not None, timeout=30_000)
    again.close()


def test_a_damaged_settings_file_is_told_and_does_not_stop_the_start(
    qtbot: QtBot, qapp: QApplication, home: Path
) -> None:
    file = app.paths.user_settings_file()
    file.parent.mkdir(parents=True)
    file.write_text("{")
    window = app.make_window(qapp, [])
    qtbot.addWidget(window)
    window.show()
    assert "settings" in window.messages.text
    qtbot.waitUntil(lambda: window.desktop is not None, timeout=30_000)
    window.close()


def test_the_sample_is_found_without_importing_nilearn() -> None:
    assert sample_image().name.endswith(".nii.gz")
    assert "nilearn" not in sys.modules
