"""Pictures of models as Qt draws them."""

from __future__ import annotations

import numpy as np
from PySide6.QtGui import QImage, QPixmap

from segdesk.ui.models.thumbnails import Picture


def pixmap_of(picture: Picture, scale: float = 1.0) -> QPixmap:
    """Return an RGB picture as a pixmap with `scale` pixels per device-independent pixel."""
    rows, columns, _ = picture.shape
    image = QImage(np.ascontiguousarray(picture).data, columns, rows, 3 * columns, QImage.Format.Format_RGB888)
    pixmap = QPixmap.fromImage(image)
    pixmap.setDevicePixelRatio(scale)
    return pixmap
