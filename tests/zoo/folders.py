"""Model folders to break."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from segdesk.zoo.model_folder import SPEC_NAME, ModelFolder
from segdesk.zoo.spec import Channel, LabelSpec, ModelSpec, NetworkSpec
from segdesk.zoo.writer import write_model_folder

WEIGHTS = save({"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(4, np.float16)})


def spec(**changes: Any) -> ModelSpec:
    fields: dict[str, Any] = {
        "name": "toy",
        "title": "Toy",
        "dimensions": 3,
        "network": NetworkSpec(name="residual_unet", parameters={"widths": [8, 16]}),
        "channels": (Channel(name="image"),),
        "labels": (LabelSpec(value=1, name="thing", colour_rgb=(1, 2, 3)),),
        "patch_kji": (8, 8, 8),
        "weights_sha256": "0" * 64,
    }
    return ModelSpec(**{**fields, **changes})


def folder(path: Path, weights: bytes = WEIGHTS, **changes: Any) -> ModelFolder:
    return write_model_folder(path, spec(**changes), weights, "# Card\n")


def edit_spec(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change ``model.json`` behind the back of the writer."""
    file = path / SPEC_NAME
    fields = json.loads(file.read_text())
    change(fields)
    file.write_text(json.dumps(fields))
