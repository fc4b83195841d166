"""ONNX Runtime and OpenVINO: the network, converted once, on the CPU."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segdesk.core.prediction import EngineChoice, Precision
from segdesk.errors import MissingExtra, ModelError, UsageError
from segdesk.nn.engines.runner import CPU, Runner, runner_name
from segdesk.nn.exporting_onnx import INPUT_NAME, OUTPUT_NAME, as_onnx
from segdesk.nn.loaded_model import LoadedModel
from segdesk.zoo.foreign.found import one_line

_TITLES: Mapping[EngineChoice, str] = {EngineChoice.ONNXRUNTIME: "ONNX Runtime", EngineChoice.OPENVINO: "OpenVINO"}
_PACKAGES: Mapping[EngineChoice, tuple[str, ...]] = {
    EngineChoice.ONNXRUNTIME: ("onnxruntime", "onnx", "onnxscript"),
    EngineChoice.OPENVINO: ("openvino", "onnx", "onnxscript"),
}
"""What has to be installed; onnx and onnxscript write the network down for both."""

_EXTRAS: Mapping[EngineChoice, str] = {EngineChoice.ONNXRUNTIME: "onnx", EngineChoice.OPENVINO: "openvino"}

_SAYS_OUT_OF_MEMORY = ("failed to allocate", "bad_alloc", "bad allocation", "out of memory", "not enough memory")
"""Of the messages of both engines, in lower case."""

_TELEMETRY = "openvino_telemetry"


def is_installed(engine: EngineChoice) -> bool:
    """Whether everything an engine needs can be imported."""
    return not _missing(engine)


def convert(model: LoadedModel, engine: EngineChoice, precision: Precision) -> Runner:
    """Return a model's network in another engine; takes seconds.

    Parameters
    ----------
    model : LoadedModel
        Its network comes to the CPU for it.
    engine : EngineChoice
        ONNXRUNTIME or OPENVINO.
    precision : Precision
        FP32, or BF16 with OpenVINO.

    Raises
    ------
    MissingExtra
        If a package is not installed.
    UsageError
        If the engine cannot compute in this precision.
    ModelError
        If the network cannot be expressed, or the engine does not take it.
    """
    if missing := _missing(engine):
        needed = f"{_TITLES[engine]} needs {', '.join(missing)}"
        raise MissingExtra(f"{needed}: pip install 'segdesk[{_EXTRAS[engine]}]'.")
    if engine is EngineChoice.OPENVINO:
        model.network.to(CPU)
        return OpenVinoRunner(as_onnx(model), precision)
    if precision is Precision.BF16:
        raise UsageError("ONNX Runtime computes in fp32 here; use --engine torch or openvino for bf16.")
    model.network.to(CPU)
    return OnnxRuntimeRunner(as_onnx(model))


def _missing(engine: EngineChoice) -> list[str]:
    return [name for name in _PACKAGES[engine] if find_spec(name) is None]


class OnnxRuntimeRunner:
    """ONNX Runtime on the CPU, with as many threads as torch has.

    Parameters
    ----------
    content : bytes
        ONNX file, as `segdesk.nn.exporting_onnx.as_onnx` makes it.
    """

    name = runner_name(EngineChoice.ONNXRUNTIME, Precision.FP32)
    device = CPU

    def __init__(self, content: bytes) -> None:
        runtime = import_module("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        with _errors_of(EngineChoice.ONNXRUNTIME):
            self._session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def make_ready(self) -> None:
        """Nothing to do: the session stays where it is."""

    def __call__(self, windows: Tensor) -> Tensor:
        """Return the logits of a batch."""
        with _errors_of(EngineChoice.ONNXRUNTIME):
            (answer,) = self._session.run([OUTPUT_NAME], {INPUT_NAME: np.ascontiguousarray(windows.numpy())})
        return torch.from_numpy(answer)


class OpenVinoRunner:
    """OpenVINO on the CPU, with as many threads as torch has.

    Parameters
    ----------
    content : bytes
        ONNX file, as `segdesk.nn.exporting_onnx.as_onnx` makes it.
    precision : Precision
        FP32; BF16 is a hint, which a CPU without bfloat16 instructions does not follow: `name` says what runs.
    """

    device = CPU

    def __init__(self, content: bytes, precision: Precision) -> None:
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision is Precision.BF16 else "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        core = _openvino().Core()
        with _errors_of(EngineChoice.OPENVINO):
            self._compiled: Any = core.compile_model(core.read_model(content), "CPU", settings)
        # What it computes in, which is not always what was asked for.
        computes_half = self._compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "bf16"
        self.name = runner_name(EngineChoice.OPENVINO, Precision.BF16 if computes_half else Precision.FP32)

    def make_ready(self) -> None:
        """Nothing to do: the compiled network stays where it is."""

    def __call__(self, windows: Tensor) -> Tensor:
        """Return the logits of a batch."""
        with _errors_of(EngineChoice.OPENVINO):
            # Not shared: the next window would be written over this one's logits.
            answers = self._compiled([np.ascontiguousarray(windows.numpy())], share_outputs=False)
        return torch.from_numpy(np.asarray(answers[0]))


def _openvino() -> Any:
    """Import OpenVINO without its telemetry, which tells its makers of every import unless it is not installed."""
    # None is the import system's way to say "not installed"; it stays, as parts of OpenVINO are imported later.
    sys.modules.setdefault(_TELEMETRY, None)  # type: ignore[arg-type]
    return import_module("openvino")


@contextlib.contextmanager
def _errors_of(engine: EngineChoice) -> Iterator[None]:
    """Give an engine's many ways to run out of memory one name, and its other errors another."""
    try:
        yield
    except Exception as exc:
        if any(words in str(exc).lower() for words in _SAYS_OUT_OF_MEMORY):
            raise MemoryError(str(exc)) from exc
        message = f"{_TITLES[engine]} cannot run this network ({one_line(exc, 120)}); use --engine torch."
        raise ModelError(message) from exc
