"""The longest gap of the window's event loop while the program works on a real image.

    python benchmarks/responsiveness.py IMAGE [--model NAME [--roi K0:K1,J0:J1,I0:I1]]

Opens the image in a window (offscreen unless a platform is set), scrolls, paints,
submits three reads and merges them; where a model is named, it predicts before each read and
fine-tunes on the consensus with the Teach workspace in view. Each as the window does it.

A timer beats every millisecond; the longest time between two beats is how long a click would
have waited. Beside it stands the processor time that the window's own thread used in one go:
on a busy machine the rest of a gap is waiting for a turn.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEventLoop, QObject, Qt, QTimer

from segdesk import app as program
from segdesk.core.box import Box
from segdesk.core.progress import Task
from segdesk.session.roi import parse_roi
from segdesk.session.training_start import Budget
from segdesk.ui.actions import Place
from segdesk.ui.main_window import MainWindow

LIMIT_MS = 50.0
TRAINING_S = 8.0


class Pulse(QObject):
    """Beats every millisecond and remembers the longest pause."""

    def __init__(self) -> None:
        super().__init__()
        self.longest_ms = self.busiest_ms = 0.0
        self._last, self._last_busy = time.perf_counter(), time.thread_time()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(1)
        self._timer.timeout.connect(self._beat)
        self._timer.start()

    def reset(self) -> None:
        self.longest_ms = self.busiest_ms = 0.0
        self._last, self._last_busy = time.perf_counter(), time.thread_time()

    def _beat(self) -> None:
        now, busy = time.perf_counter(), time.thread_time()
        self.longest_ms = max(self.longest_ms, 1000 * (now - self._last))
        self.busiest_ms = max(self.busiest_ms, 1000 * (busy - self._last_busy))
        self._last, self._last_busy = now, busy


def wait(condition: Callable[[], bool], limit_s: float = 300.0) -> None:
    """Run the event loop until a condition holds."""
    loop, timer, end = QEventLoop(), QTimer(), time.monotonic() + limit_s

    def look() -> None:
        if condition():
            loop.exit(0)
        elif time.monotonic() > end:
            loop.exit(1)

    timer.timeout.connect(look)
    timer.start(20)
    if loop.exec() != 0:
        sys.exit("A step did not finish in time.")


class Bench:
    """A window on one image and the steps measured in it."""

    def __init__(self, window: MainWindow, image: Path) -> None:
        self.window, self.image, self.pulse = window, image, Pulse()

    @property
    def session(self):  # type: ignore[no-untyped-def]
        return self.window.desktop.session

    def measure(self, name: str, step: Callable[[], object]) -> None:
        self.settle()
        self.pulse.reset()
        start = time.perf_counter()
        step()
        self.settle()
        took = time.perf_counter() - start
        verdict = "" if self.pulse.longest_ms <= LIMIT_MS else "   over the limit"
        gap = f"longest gap {self.pulse.longest_ms:6.1f} ms, own work in one go {self.pulse.busiest_ms:6.1f} ms"
        print(f"{name:<24} {gap}   in {took:6.2f} s{verdict}", flush=True)

    def settle(self) -> None:
        wait(lambda: not self.window.ui.jobs.running)

    def start(self, task: Task) -> None:  # type: ignore[type-arg]
        self.window.ui.jobs.start(task)

    def scroll(self) -> None:
        model = self.window.desktop.read.desk.views.slices[0]
        timer, left = QTimer(self.pulse), [60]

        def turn() -> None:
            model.step(1 if left[0] > 30 else -1)
            left[0] -= 1

        timer.timeout.connect(turn)
        timer.start(16)
        wait(lambda: left[0] <= 0)
        timer.deleteLater()

    def paint(self) -> None:
        editor, shape = self.session.editor, self.session.case.labels.geometry.shape_kji
        centre = tuple(n / 2 for n in shape)
        timer, left = QTimer(self.pulse), [40]
        editor.begin_stroke()

        def dab() -> None:
            here = (centre[0], centre[1] + left[0] / 4, centre[2])
            editor.paint(here, here, 0)
            left[0] -= 1

        timer.timeout.connect(dab)
        timer.start(10)
        wait(lambda: left[0] <= 0)
        timer.deleteLater()
        editor.commit_stroke()

    def predict(self, model: str, roi: Box | None) -> None:
        self.start(self.session.drafts.predict(model, roi=roi))

    def train(self, model: str) -> None:
        """Fine-tune in the background process while the Teach workspace follows it."""
        teaching = self.session.teaching
        self.start(teaching.start(model, Budget(seconds=TRAINING_S)))
        wait(lambda: bool(teaching.events) and teaching.events[-1]["event"] in ("result", "error", "stopped"))
        if teaching.events[-1]["event"] != "result":
            sys.exit("The training failed.")

    def become(self, name: str) -> None:
        self.start(self.session.use_rater(name))
        self.settle()

    def read(self) -> None:
        self.paint()
        self.settle()
        self.start(self.session.panel.submit_read())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", type=Path)
    parser.add_argument("--model", default="")
    parser.add_argument("--roi", default="")
    words = parser.parse_args()
    roi = parse_roi(words.roi) if words.roi else None
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {f"XDG_{name}_HOME": home for name in ("DATA", "CONFIG", "CACHE", "STATE")}
        qt = program.make_application(os.environ)
        window = program.make_window(qt, [])
        window.show()
        wait(lambda: window.desktop is not None)
        bench = Bench(window, words.image)
        project = Path(home) / "project"
        bench.start(bench.session.create_project(project, "Bench"))
        bench.measure("open", lambda: window.open_paths([words.image]))
        bench.measure("scroll 60 slices", bench.scroll)
        bench.become("A")
        if words.model:
            bench.measure("predict", lambda: bench.predict(words.model, roi))
            bench.measure("accept the draft", bench.session.drafts.accept)
        bench.measure("paint, save, read 1", bench.read)
        for name in "BC":
            bench.become(name)
            if words.model:
                bench.predict(words.model, roi)
                bench.settle()
                bench.session.drafts.accept()
            bench.read()
            bench.settle()
        bench.measure("consensus (STAPLE)", lambda: bench.start(bench.session.panel.merge()))
        if words.model:
            bench.start(bench.session.panel.record_consensus())
            bench.settle()
            window.go_to(Place.TEACH)
            bench.measure(f"train {TRAINING_S:g} s", lambda: bench.train(words.model))
        loaded = {"torch", "monai"} & set(sys.modules)
        print(f"torch or monai in the window's process: {', '.join(sorted(loaded)) or 'no'}")
        window.close()


if __name__ == "__main__":
    main()
