"""Read the tensors out of a foreign file of weights; no code in it is ever run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from segdesk.errors import ImportRefused
from segdesk.nn.device import is_out_of_memory
from segdesk.zoo.foreign.found import one_line
from segdesk.zoo.foreign.torch_file import check_torch_file, refused
from segdesk.zoo.weights_header import read_weights_header

_USUAL_PLACES = ("state_dict", "model_state_dict", "model", "network_weights", "network", "net", "weights")
"""Where training programs put the tensors."""

_KINDS = (torch.Tensor, nn.Parameter)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The tensors of a file, and the words beside them.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        By the file's own names.
    words : mapping
        Plain values of the file beside the tensors; {} for a bare state dict.
    """

    tensors: Mapping[str, Tensor]
    words: Mapping[str, Any] = field(default_factory=dict)


def read_checkpoint(path: Path, place: str | None) -> Checkpoint:
    """Read a file of weights.

    Parameters
    ----------
    path : Path
        A ``.safetensors`` file, or one of ``torch.save``.
    place : str, optional
        Key under which the tensors are; found by itself where it is None.

    Raises
    ------
    ImportRefused
        If the file holds anything but plain tensors in plain containers, or several
        state dicts of which none was chosen.
    BadModelFolder
        If a safetensors file is damaged.
    """
    if path.suffix.lower() == ".safetensors":
        return Checkpoint(_checked(_read_safetensors(path), path))
    check_torch_file(path)
    content = _read_torch(path)
    if not isinstance(content, Mapping):
        raise refused(path, f"it holds a {type(content).__name__}, not a state dict")
    if place is None and _is_state_dict(content):
        return Checkpoint(_checked(content, path))
    where = place if place is not None else _usual_place(content, path)
    inner = content.get(where)
    if not isinstance(inner, Mapping) or not _is_state_dict(inner):
        raise refused(path, f"there is no state dict under {where[:40]!r}")
    return Checkpoint(_checked(inner, path), {key: value for key, value in content.items() if key != where})


def _read_safetensors(path: Path) -> Mapping[str, Tensor]:
    read_weights_header(path)
    try:
        return load_file(path, device="cpu")
    except (SafetensorError, RuntimeError, KeyError) as exc:
        raise refused(path, f"it cannot be read ({one_line(exc, 100)})") from exc


def _read_torch(path: Path) -> Any:
    stand_ins: list[Any] = [
        (_scalar, "numpy.core.multiarray.scalar"),
        (_scalar, "numpy._core.multiarray.scalar"),
        (_Dtype, "numpy.dtype"),
    ]
    try:
        with torch.serialization.safe_globals(stand_ins):
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as exc:
        # torch's message ends in advice to switch the protection off.
        first = one_line(exc, 400).partition("WeightsUnpickler error:")[2].split("Please")[0]
        raise refused(path, f"it holds more than tensors ({one_line(first, 120) or 'a program'})") from exc
    except Exception as exc:
        if isinstance(exc, MemoryError) or is_out_of_memory(exc):
            raise
        # A damaged archive fails in torch's reader in many ways: RuntimeError, KeyError, TypeError, EOFError.
        raise refused(path, f"it is damaged ({one_line(exc, 100)})") from exc


class _Dtype:
    """Stands in for ``numpy.dtype`` in the training log of a checkpoint; it does nothing."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


def _scalar(*_: object) -> None:
    """Stand in for a numpy number of a training log, which is not needed."""


def _is_state_dict(content: Mapping[Any, Any]) -> bool:
    return bool(content) and all(isinstance(key, str) and isinstance(v, Tensor) for key, v in content.items())


def _usual_place(content: Mapping[Any, Any], path: Path) -> str:
    found = [name for name in _USUAL_PLACES if isinstance(content.get(name), Mapping) and _is_state_dict(content[name])]
    if len(found) == 1:
        return found[0]
    keys = one_line(", ".join(str(key)[:30] for key in list(content)[:12]), 160)
    what = f"several state dicts ({', '.join(found)})" if found else f"no state dict at a usual place (it has {keys})"
    raise ImportRefused(
        f'{path.name[:80]!r} holds {what}; say where it is ("state_dict" in a contract file).',
        code="contract_incomplete",
        path=path,
    )


def _checked(tensors: Mapping[str, Tensor], path: Path) -> Mapping[str, Tensor]:
    """Refuse tensors of kinds a network's weights never are."""
    for name, tensor in tensors.items():
        is_plain = type(tensor) in _KINDS and tensor.layout is torch.strided and not tensor.is_quantized
        if not is_plain or tensor.is_meta or tensor.is_complex() or tensor.is_nested:
            raise refused(path, f"tensor {name[:60]!r} is sparse, quantised, complex or without content")
    return tensors
