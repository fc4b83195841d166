"""A model as ONNX, checked against our own answer before it appears."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segdesk.errors import MissingExtra, ModelError
from segdesk.io.atomic import replace_file
from segdesk.nn.loaded_model import LoadedModel, load_model
from segdesk.zoo.foreign.found import one_line
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.spec import ModelSpec

INPUT_NAME, OUTPUT_NAME = "image", "logits"

TOLERANCE = 1e-4
"""Largest difference of the logits, as a part of their largest magnitude (1 where that is smaller)."""

_MAX_BYTES = 2 << 30
"""Protocol buffers, which ONNX files are, end here."""

_PACKAGES = ("onnx", "onnxruntime", "onnxscript")


def export_onnx(folder: ModelFolder, path: Path, *, overwrite: bool = False) -> float:
    """Write a model as one ONNX file.

    The input ``image`` is (batch, inputs, [k,] j, i), normalised, with the size of the
    model's window (and margin); the output ``logits`` has background first. What a program
    must know besides is in the file's metadata.

    Parameters
    ----------
    folder : ModelFolder
        What is written.
    path : Path
        New file; its folder must exist.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    float
        The largest difference found between ONNX Runtime's answer and ours, as `TOLERANCE` counts.

    Raises
    ------
    MissingExtra
        If onnx, onnxruntime or onnxscript is not installed.
    ModelError
        If the network cannot be expressed.
    WriteError
        If ONNX Runtime answers differently (code ``verify_failed``), the file exists or cannot be written.
    """
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingExtra(f"Export to ONNX needs {', '.join(missing)}: pip install 'segdesk[onnx]'.")
    model = load_model(folder)
    images = _images(model)
    differences: list[float] = []

    def write(partial: Path) -> None:
        partial.write_bytes(as_onnx(model))

    def verify(partial: Path) -> bool:
        differences.extend(_difference(partial, model.network, images[:batch]) for batch in (1, 2))
        return max(differences) <= TOLERANCE

    replace_file(path, write, verify, overwrite=overwrite)
    return max(differences)


def onnx_metadata(spec: ModelSpec) -> dict[str, str]:
    """Return what an ONNX file says besides its network: words, and JSON for the rest; no case of the training."""
    plain = spec.model_dump(mode="json")
    texts = {f"segdesk.{name}": json.dumps(plain[name]) for name in _JSON_FIELDS}
    training = {} if spec.training is None else {"segdesk.licence": spec.training.licence}
    return {
        "segdesk.model": spec.identity,
        "segdesk.title": spec.title,
        "segdesk.weights_sha256": spec.weights_sha256,
        "segdesk.axes": "batch, channel, k, j, i" if spec.dimensions == 3 else "batch, channel, j, i",
        **training,
        **texts,
    }


_JSON_FIELDS = (
    "channels", "slice_context", "views", "labels", "spacing_kji_mm", "patch_kji", "orientation", "flip_axes",
    "post_processing", "untrained",
)  # fmt: skip
"""Channels carry the normalisation; labels are in the order of the outputs behind the background.

With a slice context n each channel stands 2 n + 1 times in the input: the slices k - n to k + n."""


def _input_shape(model: LoadedModel, *, batch: int) -> tuple[int, ...]:
    size = [n + 2 * m for n, m in zip(model.window, model.margin, strict=True)][3 - model.spec.dimensions :]
    return batch, model.spec.input_channels, *size


def as_onnx(model: LoadedModel) -> bytes:
    """Return the network of a model, which must be on the CPU, as the content of an ONNX file; any batch fits it.

    Raises
    ------
    ModelError
        If the network cannot be expressed, or is too large for such a file.
    """
    if model.folder.weights_path.stat().st_size > _MAX_BYTES:
        raise ModelError("The weights are larger than the 2 GiB an ONNX file can hold; export the folder as a zip.")
    batch = torch.export.Dim("batch", min=1, max=1024)
    try:
        with _silence():
            program: Any = torch.onnx.export(
                model.network,
                (_images(model),),
                input_names=[INPUT_NAME],
                output_names=[OUTPUT_NAME],
                dynamic_shapes=({0: batch},),
                dynamo=True,
                verbose=False,
            )
            program.model.metadata_props.update(onnx_metadata(model.spec))
            content: bytes = program.model_proto.SerializeToString()
    except (RuntimeError, ValueError, TypeError, AssertionError) as exc:
        name = model.spec.network.name
        raise ModelError(f"Network {name!r} cannot be written as ONNX ({one_line(exc, 120)}).") from exc
    return content


def _images(model: LoadedModel) -> Tensor:
    """Return two windows: a network that was traced with one batch must not have learned its length."""
    return torch.randn(_input_shape(model, batch=2), generator=torch.Generator().manual_seed(0))


def _difference(path: Path, network: nn.Module, images: Tensor) -> float:
    """Return how far ONNX Runtime's answer is from ours; infinite where it does not answer."""
    runtime = import_module("onnxruntime")
    try:
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (answer,) = session.run([OUTPUT_NAME], {INPUT_NAME: images.numpy()})
    except RuntimeError:
        return float("inf")
    with torch.inference_mode():
        ours = network(images).numpy()
    if answer.shape != ours.shape:
        return float("inf")
    return float(np.abs(answer - ours).max() / max(1.0, float(np.abs(ours).max())))


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep the exporter's talk off the terminal: its progress, and warnings about packages we do not use."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
