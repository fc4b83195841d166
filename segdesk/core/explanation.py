"""The seam between the program and whatever explains a network's answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from segdesk.core.box import Box
from segdesk.core.geometry import Grid


class ExplainMethod(StrEnum):
    """How a label is explained; the first is coarse and says where, the second is fine and says which edges."""

    GRADCAM = "gradcam"
    GUIDED_BACKPROP = "guided-backprop"
    GUIDED_GRADCAM = "guided-gradcam"


@dataclass(frozen=True, slots=True)
class ExplainOptions:
    """What is explained.

    Parameters
    ----------
    label : int
        Value of a label of the model.
    method : ExplainMethod
        How.
    device : str
        "auto", "cpu", "cuda" or "cuda:N".
    roi : Box, optional
        Explain only what was drawn inside this box of the source grid.
    layer : str
        Name of the layer that Grad-CAM looks at; empty: the last of the coarsest ones.
    """

    label: int
    method: ExplainMethod = ExplainMethod.GRADCAM
    device: str = "auto"
    roi: Box | None = None
    layer: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What spoke for a label.

    Parameters
    ----------
    heat : ndarray of float32, shape (K, J, I)
        Largest magnitude 1 (0 where nothing spoke for the label at all). Grad-CAM: 0 to 1; guided
        methods: -1 to 1, positive where more intensity speaks for the label.
    geometry : Geometry or SliceStackGeometry
        The grid of the image.
    manifest : mapping
        Model, method, label, layer, device, seconds; JSON-able.
    """

    heat: Any = field(repr=False)
    geometry: Grid
    manifest: Mapping[str, Any]
