"""Where each label of a map lies, over all layers."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from segdesk.core.box import Box
from segdesk.core.labels import LabelMap
from segdesk.metrics.overlap import Mask


def label_boxes(labels: LabelMap) -> dict[int, Box]:
    """Return the tight box of each non-zero value, over all layers, in one pass a layer."""
    boxes: dict[int, Box] = {}
    for layer in labels.layers:
        objects = ndimage.find_objects(layer) if layer.size else []
        for value, found in enumerate(objects, start=1):
            if found is not None:
                k, j, i = found
                box = Box((k.start, j.start, i.start), (k.stop, j.stop, i.stop))
                boxes[value] = box.union(boxes[value]) if value in boxes else box
    return boxes


def label_mask(labels: LabelMap, value: int, box: Box) -> Mask:
    """Return where any layer holds `value`, inside a box of the grid."""
    mask = np.zeros(box.shape_kji, dtype=np.bool_)
    for layer in labels.layers:
        mask |= layer[box.slices] == value
    return mask
