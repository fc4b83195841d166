"""From the names and axes of foreign tensors to those of our networks, one to one."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping

import torch
from torch import Tensor

from segdesk.errors import ImportRefused
from segdesk.zoo.foreign.axes import Axes, as_ours
from segdesk.zoo.spec import ModelSpec

Tensors = Mapping[str, Tensor]

WRAPPERS = ("module.", "_orig_mod.", "model.", "network.", "net.")
"""What parallel training, compilation and training frameworks put before every name."""

_DYN_UNET_HEADS = re.compile(r"(^|\.)(deep_supervision_heads\.|super_head\.)")
"""Heads of MONAI's DynUNet that only its training uses."""

_NNUNET_TWIN = re.compile(r"\.all_modules\.(\d+)\.")
_NNUNET_PARTS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"encoder\.stem\.convs\.0\."), lambda m: "stem."),
    (re.compile(r"encoder\.stages\.(\d+)\.0\.convs\.(\d+)\."), lambda m: f"encoder.{m[1]}.{m[2]}."),
    (re.compile(r"encoder\.stages\.(\d+)\.blocks\.(\d+)\.conv1\."), lambda m: f"encoder.{m[1]}.{m[2]}.first."),
    (re.compile(r"encoder\.stages\.(\d+)\.blocks\.(\d+)\.conv2\."), lambda m: f"encoder.{m[1]}.{m[2]}.second."),
    (re.compile(r"encoder\.stages\.(\d+)\.blocks\.(\d+)\.skip\.\d\."), lambda m: f"encoder.{m[1]}.{m[2]}.shortcut.1."),
    (re.compile(r"decoder\.stages\.(\d+)\.convs\.(\d+)\."), lambda m: f"decoder.{m[1]}.{m[2]}."),
)


def without_wrapper(tensors: Tensors, prefix: str | None, wanted: Collection[str] = ()) -> dict[str, Tensor]:
    """Return the tensors without what stands before every name.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        By the file's names.
    prefix : str, optional
        What is declared; None: the usual wrappers are taken off, until a name is one of `wanted`.
    wanted : collection of str
        Names of the network, which may themselves begin like a wrapper.

    Raises
    ------
    ImportRefused
        If a declared `prefix` does not stand before every name.
    """
    if prefix is not None:
        odd = next((name for name in tensors if not name.startswith(prefix)), None)
        if odd is not None:
            raise ImportRefused(f"Tensor {odd[:60]!r} does not begin with the declared prefix {prefix[:40]!r}.")
        return {name[len(prefix) :]: tensor for name, tensor in tensors.items()}
    left = dict(tensors)
    while not any(name in wanted for name in left):
        wrapper = next((w for w in WRAPPERS if left and all(name.startswith(w) for name in left)), None)
        if wrapper is None:
            break
        left = {name[len(wrapper) :]: tensor for name, tensor in left.items()}
    return left


def without_training_heads(tensors: Tensors) -> dict[str, Tensor]:
    """Return the tensors of a DynUNet without the heads of its deep supervision."""
    return {name: tensor for name, tensor in tensors.items() if not _DYN_UNET_HEADS.search(name)}


def names_of_nnunet(tensors: Tensors, spec: ModelSpec) -> dict[str, Tensor]:
    """Return the tensors of an nnU-Net under our names.

    Its state dict holds everything twice or more (``decoder.encoder``, ``all_modules``); twins
    must be equal and are left out.

    Raises
    ------
    ImportRefused
        If a name has no place, or twins differ.
    """
    widths = spec.network.parameters.get("widths")
    decoder_stages = len(widths) - 1 if isinstance(widths, list) else 0
    done: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        ours = _our_name(_first_twin(name), decoder_stages)
        if ours in done and not _equal(done[ours], tensor):
            raise ImportRefused(f"The tensors {name[:80]!r} and its twin differ; the checkpoint is damaged.")
        done[ours] = tensor
    return done


def in_our_axes(tensors: Tensors, axes: Axes) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors with the spatial axes of their kernels in our order (views)."""
    order = as_ours(axes)
    for name, tensor in tensors.items():
        if tensor.ndim == 2 + len(axes):
            yield name, tensor.permute(0, 1, *(2 + axis for axis in order))
        else:
            yield name, tensor


def _first_twin(name: str) -> str:
    """Return the name under which a tensor of nnU-Net stands first."""
    plain = name.removeprefix("decoder.encoder.")
    short = f"encoder.{plain}" if plain != name else name
    return _NNUNET_TWIN.sub(lambda m: {"0": ".conv.", "1": ".norm."}.get(m[1], m[0]), short)


def _our_name(name: str, decoder_stages: int) -> str:
    for pattern, replacement in _NNUNET_PARTS:
        match = pattern.match(name)
        if match:
            return _of_unit(replacement(match), name[match.end() :], name)
    match = re.fullmatch(r"decoder\.transpconvs\.(\d+)\.(weight|bias)", name)
    if match:
        return f"up.{match[1]}.{match[2]}"
    match = re.fullmatch(r"decoder\.seg_layers\.(\d+)\.(weight|bias)", name)
    if match:
        # Theirs count from the coarsest, ours from the finest, which is the head itself.
        coarse = decoder_stages - 2 - int(match[1])
        return f"head.{match[2]}" if coarse == -1 else f"coarse_heads.{coarse}.{match[2]}"
    raise _no_place(name)


def _of_unit(start: str, rest: str, name: str) -> str:
    """Return the name of a tensor of one convolution with its norm."""
    part, _, kind = rest.partition(".")
    if part not in ("conv", "norm") or kind not in ("weight", "bias"):
        raise _no_place(name)
    return f"{start}{0 if part == 'conv' else 1}.{kind}"


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.data_ptr() == other.data_ptr() or (one.shape == other.shape and bool(torch.equal(one, other)))


def _no_place(name: str) -> ImportRefused:
    return ImportRefused(f"Tensor {name[:80]!r} has no place in an nnU-Net; is this its checkpoint?")
