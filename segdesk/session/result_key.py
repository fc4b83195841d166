"""What a stored prediction is known by: images, model, settings and program.

Everything counts unless it is named here as without influence on the labels: a field that is
added to an image, a model or the options makes other keys from then on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any

import numpy as np

from segdesk.core.prediction import PredictOptions
from segdesk.core.volume import Volume
from segdesk.store.images import image_hash

if TYPE_CHECKING:
    from segdesk.zoo.spec import ModelSpec

OPTIONS_WITHOUT_INFLUENCE: frozenset[str] = frozenset()
"""Fields of `PredictOptions` that change no label; the device does, in the last digits of a probability."""

IMAGE_WITHOUT_INFLUENCE = frozenset(
    {"array", "windows", "display_inverted", "warnings", "series_uid", "source_path", "patient_key"}
)
"""Fields of `Volume` that no network sees; its voxels count by their hash."""

GRID_WITHOUT_INFLUENCE = frozenset({"source", "frame_of_reference_uid"})
"""Fields of a grid that say where it comes from, not where it lies."""

MODEL_WITHOUT_INFLUENCE = frozenset({"title", "training", "trained_extent_kji_mm", "parent", "imported", "created"})
"""Fields of ``model.json`` that tell of the model's past; its scores count: they may decide the precision."""

_LIBRARIES = ("segdesk", "torch", "monai", "numpy", "scipy", "onnxruntime", "openvino")
_CODE = ("core", "zoo", "nn")


def result_key(channels: Mapping[str, Volume], spec: ModelSpec, options: PredictOptions) -> str:
    """Return the name of the result a model gives for images, in hex.

    Parameters
    ----------
    channels : mapping of str to Volume
        Those the model takes, by its names.
    spec : ModelSpec
        Names the weights by their hash.
    options : PredictOptions
        How it is run.
    """
    parts = {
        "images": {name: _image(volume) for name, volume in channels.items()},
        "model": spec.model_dump(mode="json", exclude=set(MODEL_WITHOUT_INFLUENCE)),
        "options": _plain(options, OPTIONS_WITHOUT_INFLUENCE),
        "program": program_versions(),
    }
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()


@cache
def program_versions() -> dict[str, str]:
    """Return the versions that labels depend on, and the hash of the code that makes them.

    A version number alone does not change while segdesk is worked on; the code does.
    """
    return {name: _version(name) for name in _LIBRARIES} | {"code": _code_hash()}


def _image(volume: Volume) -> dict[str, Any]:
    return {"voxels": image_hash(volume), **_plain(volume, IMAGE_WITHOUT_INFLUENCE | GRID_WITHOUT_INFLUENCE)}


def _plain(value: object, without: Collection[str] = ()) -> Any:
    """Return a value as JSON that tells it from every other one; TypeError for what has no such form."""
    if is_dataclass(value) and not isinstance(value, type):
        kept = {each.name: getattr(value, each.name) for each in fields(value) if each.name not in without}
        return {"kind": type(value).__name__, **{name: _plain(each, without) for name, each in kept.items()}}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple | list):
        return [_plain(each, without) for each in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} cannot be part of a key")


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def _code_hash() -> str:
    digest = hashlib.blake2b(digest_size=16)
    for package in _CODE:
        _add_code(digest, files("segdesk") / package)
    return digest.hexdigest()


def _add_code(digest: hashlib.blake2b, folder: Traversable) -> None:
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        if entry.is_dir():
            _add_code(digest, entry)
        elif entry.name.endswith(".py"):
            digest.update(entry.name.encode() + b"\0" + entry.read_bytes())
