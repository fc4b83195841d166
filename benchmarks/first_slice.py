"""From the click to the first slice on the screen, and to the whole volume, in a real window.

    python -m benchmarks.first_slice [--slices 300] [--size 512] [--repeats 5]

A CT-like series of uncompressed files is made by raw pydicom in a temporary folder, beside a
second one, so that a folder with both is asked about in the series browser. Measured are: a
click on Open there, a drop of the one series' folder, and a click on the stored case.
A slice counts when the event that painted it is over. The longest gap is the
longest time in which a click would not have been answered.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QTimer

from benchmarks.open import machine, phantom, state, write_series
from benchmarks.responsiveness import Pulse, wait
from segdesk import app as program
from segdesk.ui.actions import Act
from segdesk.ui.main_window import MainWindow
from segdesk.ui.views.slice_canvas import SliceCanvas

SERIES, OTHER = "series", "other"
GOAL_MS = 200.0


@dataclass(frozen=True)
class Opened:
    """Times of one opening, from the click."""

    first_ms: float
    whole_ms: float
    gap_ms: float
    busy_ms: float


class FirstPaint:
    """Notes when a slice was painted for the first time since it was armed."""

    def __init__(self) -> None:
        self.at: float | None = None
        self._is_armed = False
        plain = SliceCanvas.picture

        def picture(canvas: SliceCanvas, *args: object, **kwargs: object) -> object:
            made = plain(canvas, *args, **kwargs)  # type: ignore[arg-type]
            if self._is_armed:
                self._is_armed = False
                QTimer.singleShot(0, self._note)
            return made

        SliceCanvas.picture = picture  # type: ignore[method-assign,assignment]

    def arm(self) -> None:
        self.at, self._is_armed = None, True

    def _note(self) -> None:
        self.at = time.perf_counter()


class Bench:
    """A window, and what is clicked in it."""

    def __init__(self, window: MainWindow, folder: Path) -> None:
        self.window, self.folder = window, folder
        self.pulse, self.paint = Pulse(), FirstPaint()

    def settle(self) -> None:
        wait(lambda: not self.window.ui.jobs.running)

    def fresh_project(self, number: int) -> None:
        session = self.window.desktop.session
        self.window.ui.jobs.start(session.create_project(self.folder / f"project-{number}", f"Bench {number}"))
        self.settle()
        gc.collect()

    def opened(self, click: Callable[[], object]) -> Opened:
        self.settle()
        session, before = self.window.desktop.session, self.window.desktop.session.case
        self.paint.arm()
        self.pulse.reset()
        start = time.perf_counter()
        click()
        whole: list[float] = []

        def is_whole() -> bool:
            if session.case is not None and session.case is not before and not whole:
                whole.append(time.perf_counter())
            return bool(whole) and self.paint.at is not None

        wait(is_whole)
        self.settle()
        assert self.paint.at is not None
        return Opened(
            1000 * (self.paint.at - start), 1000 * (whole[0] - start), self.pulse.longest_ms, self.pulse.busiest_ms
        )

    def by_browser(self) -> Opened:
        intake = self.window.desktop._intake
        self.window.open_paths([self.folder / "both"])
        wait(lambda: intake.dialog is not None and intake.dialog.choice is not None)
        dialog = intake.dialog
        row = max(dialog.choice.rows, key=lambda each: each.entry.files)
        return self.opened(lambda: dialog._open(row))

    def by_drop(self) -> Opened:
        return self.opened(lambda: self.window.open_paths([self.folder / "both" / SERIES]))

    def by_case(self) -> Opened:
        """Go back to the case while another one is on the desk."""
        self.window.ui.jobs.start(self.window.desktop.session.open_path(self.folder / "both" / OTHER))
        self.settle()
        return self.opened(self.window.ui.actions[Act.PREVIOUS_CASE].trigger)


def row(name: str, times: list[Opened]) -> str:
    def middle(field: str) -> float:
        return statistics.median(getattr(each, field) for each in times)

    first = middle("first_ms")
    verdict = "" if first <= GOAL_MS else "  over the goal"
    return (
        f"| {name} | {first:.0f} ms | {middle('whole_ms'):.0f} ms | {middle('gap_ms'):.0f} ms | "
        f"{middle('busy_ms'):.0f} ms |{verdict}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {f"XDG_{each}_HOME": str(folder / "home") for each in ("DATA", "CONFIG", "CACHE", "STATE")}
        (folder / "both").mkdir()
        array = phantom(options.slices, options.size)
        write_series(folder / "both" / SERIES, array)
        write_series(folder / "both" / OTHER, array[:5])
        del array
        qt = program.make_application(os.environ)
        window = program.make_window(qt, [])
        window.show()
        wait(lambda: window.desktop is not None)
        bench = Bench(window, folder)
        times: dict[str, list[Opened]] = {
            "click on Open in the browser": [],
            "drop of the folder": [],
            "click on the stored case": [],
        }
        for number in range(options.repeats + 1):
            bench.fresh_project(2 * number)
            browser = bench.by_browser()
            bench.fresh_project(2 * number + 1)
            drop, case = bench.by_drop(), bench.by_case()
            if number:  # the first round warms up
                for kind, one in zip(times, (browser, drop, case), strict=True):
                    times[kind].append(one)
        window.close()
        shutil.rmtree(folder / "home", ignore_errors=True)
    print(f"{options.slices} x {options.size} x {options.size}, uncompressed; {machine()}; {state(load)}.\n")
    print("| opened by | first slice | whole volume | longest gap | own work in one go |")
    print("|---|---|---|---|---|")
    for kind, each in times.items():
        print(row(kind, each))


if __name__ == "__main__":
    sys.exit(main())
