"""One frame of a slice with window/level and a 50 % overlay, beside two pyqtgraph ImageItems.

    python benchmarks/slice_frame.py [--repeats 30]

Both paint the same int16 slice and uint8 labels, at the slice's own size, offscreen,
in turns, with a new window each frame so that nothing is reused. The pictures are
compared first. Then the ImageItems' time is divided by ours.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QApplication

from segdesk.core.geometry import Geometry
from segdesk.core.labels import PALETTE, LabelMap, LabelTable
from segdesk.core.volume import Volume, Window
from segdesk.ui.models.overlay import OverlayStyle
from segdesk.ui.models.view_set import ViewSet
from segdesk.ui.models.viewport import Viewport
from segdesk.ui.views.slice_canvas import SliceCanvas


def scene(size: int) -> tuple[np.ndarray, np.ndarray]:
    """An int16 slice with structure and noise, and five blobs of labels."""
    rng = np.random.default_rng(3)
    j, i = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size), indexing="ij")
    image = (400 * np.sin(6 * j) * np.cos(5 * i) + rng.normal(0, 60, (size, size))).astype(np.int16)
    labels = np.zeros((size, size), np.uint8)
    for value in range(1, 6):
        labels[(j + 0.6 - 0.3 * value) ** 2 + (i - 0.5 + 0.2 * value) ** 2 < 0.05] = value
    return image, labels


def ours(image: np.ndarray, labels: np.ndarray) -> Callable[[Window], np.ndarray]:
    """The product's canvas at one screen pixel a voxel, without outlines (the peer has none)."""
    size = image.shape[0]
    grid = Geometry((1, size, size), np.eye(4), orientation_known=False)
    label_map = LabelMap.of(labels[None], grid, LabelTable.for_values(range(1, 6)))
    views = ViewSet(Volume(image[None], grid), label_map, OverlayStyle(opacity=0.5, outline=False))
    canvas = SliceCanvas(views.slices[0])
    viewport = Viewport((1.0, 1.0), 1.0, (0.5, 0.5))
    screen = QSize(size, size)

    def frame(window: Window) -> np.ndarray:
        views.window.value = window
        canvas.invalidate()
        return pixels(canvas.picture(viewport, screen, 1.0, smooth=False))

    return frame


def pyqtgraph_items(image: np.ndarray, labels: np.ndarray) -> Callable[[Window], np.ndarray]:
    """An image item with levels and a label item with a look-up table over it."""
    size = image.shape[0]
    below, above = pg.ImageItem(axisOrder="row-major"), pg.ImageItem(axisOrder="row-major")
    table = np.zeros((256, 4), np.uint8)
    for value in range(1, 6):
        table[value] = (*PALETTE[value - 1], 128)
    canvas = QImage(size, size, QImage.Format.Format_RGB32)
    target = QRectF(0, 0, size, size)

    def frame(window: Window) -> np.ndarray:
        below.setImage(image, levels=(window.low, window.high), autoLevels=False)
        above.setImage(labels, levels=(0, 255), lut=table, autoLevels=False)
        painter = QPainter(canvas)
        for item in (below, above):
            painter.save()
            item.setRect(target)
            item.paint(painter)
            painter.restore()
        painter.end()
        return pixels(canvas)

    return frame


def pixels(image: QImage) -> np.ndarray:
    """A picture's memory as (rows, columns, BGRA), not copied."""
    return np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=30)
    repeats = parser.parse_args().repeats
    app = QApplication.instance() or QApplication([])
    windows = [Window(n, 700 + n) for n in range(repeats)]
    for size in (512, 1024, 2048):
        image, labels = scene(size)
        candidates = {"segdesk": ours(image, labels), "pyqtgraph": pyqtgraph_items(image, labels)}
        first, second = (frame(windows[0])[..., :3].astype(int) for frame in candidates.values())
        apart = int(np.abs(first - second).max())
        times: dict[str, list[float]] = {name: [] for name in candidates}
        for window in windows:
            for name, frame in candidates.items():
                start = time.perf_counter()
                frame(window)
                times[name].append(time.perf_counter() - start)
        ms = {name: 1000 * statistics.median(each) for name, each in times.items()}
        line = f"{size:>5}²  segdesk {ms['segdesk']:6.2f} ms   pyqtgraph {ms['pyqtgraph']:6.2f} ms"
        print(f"{line}   {ms['pyqtgraph'] / ms['segdesk']:5.2f} x   pictures differ by at most {apart}/255")
    del app


if __name__ == "__main__":
    main()
