"""The window as a program: show first, load the rest behind it."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from segdesk import paths
from segdesk.core.progress import Lane, Progress, Task
from segdesk.core.settings import Settings
from segdesk.errors import SegdeskError

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

    from segdesk.session import Session
    from segdesk.ui.main_window import MainWindow

PACKAGES = "libegl1 libgl1 libfontconfig1 libdbus-1-3 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1"
"""Debian and Ubuntu packages with the libraries that Qt's window needs and a bare system lacks."""

_XCB_LIBRARIES = ("libxcb-cursor.so.0", "libxcb-icccm.so.4", "libxcb-keysyms.so.1", "libxkbcommon-x11.so.0")
"""Qt's X11 plugin aborts the process when one of these is missing, so they are looked for before."""


class CannotShow(SegdeskError):
    """There is no window to be had here: a system library or the display is missing."""

    default_code = "missing_library"


def run(images: Sequence[Path]) -> int:
    """Open the window on images, folders or a project; returns when it is closed.

    Parameters
    ----------
    images : sequence of Path
        What to open; nothing shows the start page.

    Returns
    -------
    int
        Exit code: 0, or 2 when no window can be shown (one line on stderr says why).
    """
    try:
        app = make_application(os.environ)
    except CannotShow as error:
        sys.stderr.write(f"segdesk: {error.message}\n")
        return 2
    # After the check for libraries: this imports Qt.
    from segdesk.ui.garbage import GuiGarbage

    garbage = GuiGarbage(app)
    window = make_window(app, images)
    window.show()
    code = int(app.exec())
    garbage.stop()
    return code


def make_application(environment: Mapping[str, str]) -> QApplication:
    """Return the Qt application with a usable font.

    Raises
    ------
    CannotShow
        If Qt's libraries or the display are missing; the message names the packages.
    """
    problem = display_problem(environment)
    if problem:
        raise CannotShow(problem)
    try:
        from PySide6.QtWidgets import QApplication
    except ImportError as error:
        raise CannotShow(_library_text(str(error).partition(":")[0])) from None
    from segdesk.ui.fonts import use_fonts

    app = QApplication(sys.argv[:1])
    app.setApplicationName("segdesk")
    app.setDesktopFileName("segdesk")
    use_fonts(app)
    return app


def make_window(app: QApplication, images: Sequence[Path]) -> MainWindow:
    """Return the window with the user's settings; the session is loaded behind it."""
    from segdesk.ui.main_window import MainWindow
    from segdesk.ui.theme import Theme, ThemeName

    settings, file = Settings(), paths.user_settings_file()
    problems = settings.load(file)
    window = MainWindow(Theme(app, ThemeName(str(settings.of("window.theme").value))), settings)
    window.closing.connect(lambda: _save(settings, file))
    window.closing.connect(_read_here)
    window.open_paths(images)
    if problems:
        window.tell(" ".join(problems))
    window.ui.jobs.start(load_session(window, settings))
    return window


def load_session(window: MainWindow, settings: Settings) -> Task[Session]:
    """Return the task that loads the session and attaches it to the window."""

    def work(report: Progress) -> Session:
        # Database, readers of images and the reading desk take most of a second to import; the window lives meanwhile.
        import segdesk.ui.desktop  # noqa: F401

        _read_in_child()
        return new_session(settings)

    return Task("", Lane.CPU, work, window.attach)


def _read_in_child() -> None:
    """Read files in a child process from now on, and start it: a decoder that crashes must not take the window."""
    from segdesk.io.image_reader import read_elsewhere
    from segdesk.workers.decoder import Decoder

    decoder = Decoder()
    read_elsewhere(decoder)
    decoder.warm_up()


def _read_here() -> None:
    """Let go of the child; it ends when its last image was read."""
    from segdesk.io.image_reader import read_elsewhere

    read_elsewhere(None)


def new_session(settings: Settings) -> Session:
    """Return a session that runs models and trainings in child processes."""
    from segdesk.session import Session, SessionSettings
    from segdesk.session.cached_predictor import CachedPredictor
    from segdesk.session.result_cache import ResultCache
    from segdesk.workers.inference import InferenceWorker
    from segdesk.workers.training import TrainingWorker

    reader = str(settings.of("reader.name").value)
    inference = InferenceWorker()
    predictor = CachedPredictor(inference, ResultCache.of_user())
    return Session(predictor, TrainingWorker(), SessionSettings(rater_name=reader), inference)


def display_problem(environment: Mapping[str, str], platform: str = sys.platform) -> str:
    """Return why no window can be shown here, "" when nothing speaks against it."""
    if not platform.startswith("linux") or environment.get("QT_QPA_PLATFORM", "xcb") != "xcb":
        return ""
    if environment.get("WAYLAND_DISPLAY"):
        return ""
    if not environment.get("DISPLAY"):
        return "There is no display; set DISPLAY, or use the commands (segdesk --help) that need none."
    missing = [name for name in _XCB_LIBRARIES if not _is_loadable(name)]
    if missing:
        return _library_text(", ".join(missing))
    display = environment["DISPLAY"]
    # Qt would abort the process.
    return "" if _answers(display) else f"The display {display} does not answer; set DISPLAY to one that does."


def _is_loadable(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _answers(display: str) -> bool:
    """Return whether an X server can be reached, as Qt's plugin would do it."""
    xcb = ctypes.CDLL("libxcb.so.1")
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(display.encode(), None))
    failed = bool(xcb.xcb_connection_has_error(connection))
    xcb.xcb_disconnect(connection)
    return not failed


def _library_text(library: str) -> str:
    return f"The window needs the system library {library}; on Debian and Ubuntu: sudo apt-get install {PACKAGES}"


def _save(settings: Settings, file: Path) -> None:
    try:
        settings.save(file)
    except OSError as error:
        sys.stderr.write(f"segdesk: the settings could not be saved in {file}: {error}\n")
