"""How soon the first window is shown: `python -m segdesk` beside napari, where it is installed.

    python benchmarks/startup.py [--repeats 7] [--peer-python PYTHON]

A fresh process each time, offscreen, candidates in turns, warm cache; measured from
the start of the process to the first paint of the window. napari may live in another
environment, named by its interpreter.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time

OURS = """
import os, sys, time
from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtWidgets import QApplication
from segdesk import app

class Watch(QObject):
    def eventFilter(self, watched, event):
        if event.type() is QEvent.Type.Paint:
            heavy = {'torch', 'monai', 'vtk', 'SimpleITK', 'nilearn', 'matplotlib', 'sqlalchemy', 'scipy'}
            print(time.time(), *sorted(heavy & set(sys.modules)), flush=True)
            os._exit(0)
        return False

qt = app.make_application(os.environ)
window = app.make_window(qt, [])
watch = Watch()
window.centralWidget().installEventFilter(watch)
window.show()
qt.exec()
"""
NAPARI = """
import os, time
import napari
viewer = napari.Viewer()
viewer.window._qt_window.repaint()
print(time.time(), flush=True)
os._exit(0)
"""
NOW = "import time; print(time.time())"


def seconds(python: str, code: str, environment: dict[str, str]) -> tuple[float, str]:
    """Return the time from the start of a process to its line of output, and what else it says."""
    start = time.time()
    done = subprocess.run(
        [python, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    stamp, *rest = done.stdout.split()
    return float(stamp) - start, " ".join(rest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--peer-python", default="", help="interpreter of an environment with napari")
    words = parser.parse_args()
    codes = {"empty Python": (sys.executable, NOW), "segdesk": (sys.executable, OURS)}
    if words.peer_python or importlib.util.find_spec("napari"):
        codes["napari"] = (words.peer_python or sys.executable, NAPARI)
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
        environment |= {f"XDG_{name}_HOME": home for name in ("DATA", "CONFIG", "CACHE", "STATE")}
        times: dict[str, list[float]] = {name: [] for name in codes}
        heavy = ""
        for _ in range(words.repeats):
            for name, (python, code) in codes.items():
                took, said = seconds(python, code, environment)
                times[name].append(took)
                heavy = said or heavy
    for name, each in times.items():
        print(f"{name:<14} median {statistics.median(each):.3f} s   best {min(each):.3f} s   of {len(each)}")
    print(f"heavy libraries in segdesk's process at the first paint: {heavy or 'none'}")
    if "napari" not in times:
        print("napari is not installed here: no peer beside it")


if __name__ == "__main__":
    main()
