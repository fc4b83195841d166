"""What a run leaves on record besides its labels."""

from __future__ import annotations

import platform
import time
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from segdesk.core.labels import LabelMap
from segdesk.nn.clean_up import voxel_volumes_k_mm3


class Clock:
    """Seconds of each part of a run."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """Add the seconds since the last lap to those of a part."""
        now = time.perf_counter()
        self.seconds[name] = round(self.seconds.get(name, 0.0) + now - self._last, 4)
        self.seconds["total"] = round(now - self._start, 4)
        self._last = now


def label_volumes(labels: LabelMap) -> dict[str, dict[str, Any]]:
    """Return name and volume per label of the model; null where the spacing is not known."""
    per_slice = _counts_per_slice(labels)
    volumes_k = voxel_volumes_k_mm3(labels.geometry)
    known = labels.geometry.spacing_known
    return {
        str(label.value): {
            "name": label.name,
            "volume_mm3": round(float(per_slice[:, label.value] @ volumes_k), 3) if known else None,
        }
        for label in labels.table
    }


def _counts_per_slice(labels: LabelMap) -> NDArray[np.int64]:
    size = max((0, *labels.table.values)) + 1
    return np.stack([np.bincount(plane.ravel(), minlength=size) for plane in labels.array])


def software(engine: str = "torch") -> dict[str, str]:
    """Return the versions the labels depend on; `engine` is what ran the network."""
    return {
        "segdesk": version("segdesk"),
        "torch": str(torch.__version__),
        **({} if engine == "torch" else {engine: version(engine)}),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
