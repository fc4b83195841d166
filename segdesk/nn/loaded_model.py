"""Model folders turned into networks; the last ones stay warm."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import nn

from segdesk.core.box import Index3
from segdesk.errors import BadModelFolder
from segdesk.nn.engines.shelf import Shelf
from segdesk.nn.networks.classic_unet import ClassicUnet
from segdesk.nn.networks.ensemble import first_member
from segdesk.nn.networks.registry import network_of
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.spec import ModelSpec

_Key = tuple[str, int, int, int]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A network with its weights, and the windows it takes.

    Parameters
    ----------
    folder : ModelFolder
        Where it came from.
    network : torch.nn.Module
        In evaluation mode.
    window : tuple of int
        What it answers for at once, (k, j, i).
    margin : tuple of int
        Voxels it needs around that on each side; along k the slice context of a 2D model.
    divisor : tuple of int
        Step between voxels that its pooling treats alike.
    shelf : Shelf
        What other engines made of it in this process.
    """

    folder: ModelFolder
    network: nn.Module
    window: Index3
    margin: Index3
    divisor: Index3
    shelf: Shelf = field(default_factory=Shelf, compare=False, repr=False)

    @property
    def spec(self) -> ModelSpec:
        """What ``model.json`` says."""
        return self.folder.spec


class ModelCache:
    """The models used last; a folder that changed on disk is loaded again.

    Parameters
    ----------
    size : int
        How many are kept.
    """

    def __init__(self, size: int = 2) -> None:
        self._size = size
        self._models: OrderedDict[_Key, LoadedModel] = OrderedDict()

    def get(self, path: Path) -> LoadedModel:
        """Return the model of a folder, loading it if need be.

        Raises
        ------
        BadModelFolder
            If the folder is damaged, the hash is wrong or the weights do not fit.
        """
        folder = ModelFolder.load(path)
        key = _key(folder)
        if key not in self._models:
            self._models[key] = load_model(folder)
        self._models.move_to_end(key)
        while len(self._models) > self._size:
            self._models.popitem(last=False)
        return self._models[key]


warm_models = ModelCache()
"""The networks of this process; loading one costs more than a small volume takes."""


def load_model(folder: ModelFolder) -> LoadedModel:
    """Build the network of a folder and fill in its weights, which are hashed on the way.

    Raises
    ------
    BadModelFolder
        If the hash is wrong, the weights do not fit the network, or are not finite.
    """
    spec = folder.spec
    network = network_of(spec)
    content = _read(folder)
    try:
        network.load_state_dict(load_tensors(content), strict=True)
    except (RuntimeError, SafetensorError) as exc:
        first = " ".join(str(exc).split())[:160]
        raise BadModelFolder(
            f"The weights do not fit network {spec.network.name!r}: {first}", path=folder.path
        ) from exc
    if not all(bool(torch.isfinite(each).all()) for each in network.state_dict().values()):
        raise BadModelFolder(f"The weights of {spec.identity} hold NaN or infinite numbers.", path=folder.path)
    network.eval().requires_grad_(requires_grad=False)
    return LoadedModel(folder, network, *windows_of(network, spec))


def windows_of(network: nn.Module, spec: ModelSpec) -> tuple[Index3, Index3, Index3]:
    """Return the model's patch, enlarged to a size the network can take, the margin it loses, and its divisor."""
    network = first_member(network)
    lost = int(getattr(network, "output_margin", 0))
    steps = _steps(network, spec.dimensions)
    k, j, i = (_fitting(network, n + 2 * lost, step) - 2 * lost for n, step in zip(spec.patch_kji, steps, strict=True))
    if spec.dimensions == 2:
        return (1, j, i), (spec.slice_context, lost, lost), steps
    return (k, j, i), (lost, lost, lost), steps


def _steps(network: nn.Module, dimensions: int) -> Index3:
    """Return the number of voxels that pooling makes one of, along (k, j, i)."""
    if isinstance(network, ClassicUnet):
        return 1, 2**network.depth, 2**network.depth
    step = int(getattr(network, "size_divisor", 1))
    each: tuple[int, ...] = getattr(network, "size_divisors", (step,) * dimensions)
    k, j, i = each if dimensions == 3 else (1, *each)
    return k, j, i


def _fitting(network: nn.Module, size: int, step: int) -> int:
    """Return the smallest length >= `size` that the network takes."""
    if isinstance(network, ClassicUnet):
        return network.valid_size(size)
    return -(-size // step) * step


def _read(folder: ModelFolder) -> bytes:
    """Read the weights once and check their hash."""
    try:
        content = folder.weights_path.read_bytes()
    except OSError as exc:
        raise BadModelFolder(f"The weights cannot be read ({exc.strerror}).", path=folder.path) from exc
    folder.check_hash(hashlib.sha256(content).hexdigest())
    return content


def _key(folder: ModelFolder) -> _Key:
    status = folder.weights_path.stat()
    spec = hash(folder.spec.model_dump_json())
    return str(folder.path.resolve()), spec, status.st_mtime_ns, status.st_size
