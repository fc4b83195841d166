"""Tell what a foreign model is, and what its files say about it."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from segdesk.errors import ImportRefused
from segdesk.zoo.archive import unpack
from segdesk.zoo.foreign.bundle import inspect_bundle, is_bundle
from segdesk.zoo.foreign.contract import ModelContract
from segdesk.zoo.foreign.found import FoundModel, slug
from segdesk.zoo.foreign.nnunet import inspect_nnunet, is_nnunet
from segdesk.zoo.foreign.torch_file import check_torch_file
from segdesk.zoo.model_folder import SPEC_NAME, WEIGHTS_NAME, ModelFolder
from segdesk.zoo.weights_header import read_weights_header

WEIGHT_SUFFIXES = (".pt", ".pth", ".safetensors")
"""Files of weights that can be declared by hand."""

_OTHER_FORMATS = (".ts", ".pt2", ".ptl", ".onnx", ".pkl", ".pickle", ".h5", ".keras")


def open_source(source: Path, workspace: Path) -> Path:
    """Return the folder or file of weights a source stands for; archives are unpacked into `workspace`.

    Raises
    ------
    ImportRefused
        If there is nothing, or an archive is not safe.
    """
    if source.suffix.lower() == ".zip" and source.is_file():
        folder = workspace / slug(source.stem)
        folder.mkdir()
        unpack(source, folder)
        return _only_folder(folder)
    if not source.exists():
        raise ImportRefused(f"There is no file or folder {source.name[:80]!r}.", code="not_found", path=source)
    return source


def is_model_folder(place: Path) -> bool:
    """Whether this is one of our own model folders."""
    return (place / SPEC_NAME).is_file() and (place / WEIGHTS_NAME).is_file()


def inspect_foreign(place: Path, declared: ModelContract | None = None) -> FoundModel:
    """Look into a MONAI bundle, an nnU-Net folder or a file of weights; nothing in it is executed.

    Parameters
    ----------
    place : Path
        From `open_source`.
    declared : ModelContract, optional
        What the user says.

    Returns
    -------
    FoundModel
        Its contract is what the files say, without what was declared.

    Raises
    ------
    ImportRefused
        If it is none of them, damaged, or its weights are no plain tensors.
    """
    declared = declared or ModelContract()
    if is_bundle(place):
        found = inspect_bundle(place, declared)
    elif is_nnunet(place):
        found = inspect_nnunet(place, declared)
    elif place.is_file():
        found = _bare_weights(place)
    else:
        raise ImportRefused(
            f"{place.name[:80]!r} is no model that can be imported: no model folder, MONAI bundle, results folder of "
            f"nnU-Net v2 or file of weights ({', '.join(WEIGHT_SUFFIXES)}).",
            path=place,
        )
    for weights in found.weights:
        check_weights(weights)
    return found


def look_into(source: Path) -> FoundModel | None:
    """Tell what a source says of itself, for a person who will complete it; nothing is kept.

    Parameters
    ----------
    source : Path
        As for `open_source`.

    Returns
    -------
    FoundModel or None
        None: one of our own model folders, which says everything. What the files say in a way that
        is not read (a network that is an expression) is left out of the contract, with a note why.

    Raises
    ------
    ImportRefused, BadModelFolder
        If it is no model, or not allowed.
    """
    with tempfile.TemporaryDirectory(prefix="segdesk-look-") as made:
        place = open_source(source, Path(made))
        if is_model_folder(place):
            ModelFolder.load(place)
            return None
        try:
            return inspect_foreign(place)
        except ImportRefused as exc:
            try:
                found = inspect_foreign(place, ModelContract(network=None, channels=None, labels=None))
            except ImportRefused:
                raise exc from None
            return replace(found, notes=(exc.message, *found.notes))


def check_weights(path: Path) -> None:
    """Raise ImportRefused unless a file holds plain tensors."""
    if path.suffix.lower() == ".safetensors":
        read_weights_header(path)
    else:
        check_torch_file(path)


def _bare_weights(path: Path) -> FoundModel:
    suffix = path.suffix.lower()
    if suffix in WEIGHT_SUFFIXES:
        return FoundModel("state-dict", (path,), ModelContract(name=slug(path.stem)))
    if suffix in _OTHER_FORMATS:
        raise ImportRefused(
            f"{path.name[:80]!r} holds a program or a format that is not read; get the network's state dict "
            f"({', '.join(WEIGHT_SUFFIXES)}). Nothing in it was run.",
            path=path,
        )
    raise ImportRefused(
        f"{path.name[:80]!r} is no file of weights; those end in {', '.join(WEIGHT_SUFFIXES)}.", path=path
    )


def _only_folder(folder: Path) -> Path:
    """Return the folder inside, where an archive holds nothing else, and its own folder otherwise."""
    inner = list(folder.iterdir())
    return inner[0] if len(inner) == 1 and inner[0].is_dir() else folder
