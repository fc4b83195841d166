"""A MONAI bundle: its weights, ``metadata.json``, and ``inference.json`` as plain data.

A bundle's configuration is a program (``$`` runs Python, ``_target_`` calls anything). Here
it is a table of words and numbers: what is a literal and known is read, everything else
must be declared, and nothing is evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from segdesk.core.labels import PALETTE
from segdesk.errors import ImportRefused, UsageError
from segdesk.zoo.foreign.axes import network_in_our_axes
from segdesk.zoo.foreign.bundle_steps import Steps, read_steps
from segdesk.zoo.foreign.contract import ModelContract, contract_of
from segdesk.zoo.foreign.found import FoundModel, inner_file, one_line, read_table, slug
from segdesk.zoo.foreign.literals import as_literal, table_at
from segdesk.zoo.monai_networks import network_of_arguments
from segdesk.zoo.problem import first_problem
from segdesk.zoo.spec import Channel, LabelSpec, NetworkSpec, TrainingRecord

CONFIGS, WEIGHTS = "configs", "models"
METADATA, INFERENCE = "metadata.json", "inference.json"

OWN_TARGET = "segdesk.nn.bundle_network.build"
"""What a bundle that segdesk wrote names for a network MONAI does not have."""

CONTRACT_KEY = "segdesk"
"""Table of ``metadata.json`` in which a bundle that segdesk wrote says what MONAI has no words for."""

_WEIGHT_NAMES = ("model.safetensors", "model.pt", "model.pth")


def is_bundle(folder: Path) -> bool:
    """Whether a folder looks like a MONAI bundle."""
    return (folder / CONFIGS / METADATA).is_file()


def inspect_bundle(folder: Path, declared: ModelContract) -> FoundModel:
    """Read the descriptions of a bundle and find its weights.

    Parameters
    ----------
    folder : Path
        With ``configs`` and ``models``.
    declared : ModelContract
        What is declared in it is not looked for in the bundle.

    Raises
    ------
    ImportRefused
        If there are no weights but TorchScript, the network is an expression or unknown and
        not declared, or a description is damaged.
    """
    metadata = _table(folder, METADATA)
    if metadata is None:
        raise ImportRefused(f"{folder.name!r} has no {CONFIGS}/{METADATA}; is it a MONAI bundle?", path=folder)
    inference = _table(folder, INFERENCE) or {}
    try:
        return _found(folder, metadata, inference, declared)
    except ValidationError as exc:
        raise ImportRefused(f"The bundle's description is not valid: {first_problem(exc)}.", path=folder) from exc


def _found(
    folder: Path, metadata: Mapping[str, Any], inference: Mapping[str, Any], declared: ModelContract
) -> FoundModel:
    known: dict[str, Any] = {"axis_order": "ijk"}
    dimensions: int | None = declared.dimensions
    sizes: dict[str, int] = {}
    if "network" not in declared.model_fields_set:
        network, sizes = _network(inference)
        if network is not None:
            dimensions = dimensions or sizes.get("dimensions")
            known |= {"dimensions": dimensions, "network": _ours(network, dimensions)}
    steps = read_steps(inference, dimensions or 3)
    labels = _labels(metadata)
    known |= {name: value for name, value in (("labels", labels), ("patch_kji", steps.patch_kji)) if value is not None}
    known |= {name: value for name, value in steps.space.items() if name not in known}
    _check_sizes(metadata, sizes, declared)
    channels = _channels(metadata, steps)
    if channels is not None:
        known["channels"] = channels
    if steps.post_processing and labels is not None:
        values = {label.value for label in labels}
        known["post_processing"] = tuple(rule for rule in steps.post_processing if rule.label in values)
    known |= _words(metadata, folder)
    contract = ModelContract(**known)
    own = table_at(metadata, CONTRACT_KEY)
    if own is not None:
        contract = contract.completed_by(_own_contract(own))
    return FoundModel("monai-bundle", (_weights(folder),), contract, notes=steps.notes)


def _table(folder: Path, name: str) -> Mapping[str, Any] | None:
    path = inner_file(folder, CONFIGS, name)
    return None if path is None else read_table(path)


def _weights(folder: Path) -> Path:
    for name in _WEIGHT_NAMES:
        path = inner_file(folder, WEIGHTS, name)
        if path is not None:
            return path
    if inner_file(folder, WEIGHTS, "model.ts") is not None:
        raise ImportRefused(
            "The bundle holds TorchScript (model.ts) only, which is a program; get its model.pt.", path=folder
        )
    raise ImportRefused(f"The bundle has no {WEIGHTS}/{_WEIGHT_NAMES[1]}.", path=folder)


def _network(inference: Mapping[str, Any]) -> tuple[NetworkSpec | None, dict[str, int]]:
    """Return the network where the bundle says it in literals."""
    definition = next((table for name in ("network_def", "network") if (table := table_at(inference, name))), None)
    if definition is None:
        return None, {}
    literal = as_literal(definition, "network_def")
    target = literal.pop("_target_", None)
    if not isinstance(target, str):
        raise ImportRefused("The bundle's network_def names no network (_target_); declare it in a contract file.")
    if target == OWN_TARGET:
        return _own_network(literal)
    return network_of_arguments(target, literal)


def _own_network(literal: Mapping[str, Any]) -> tuple[NetworkSpec, dict[str, int]]:
    sizes = {name: literal.get(name) for name in ("dimensions", "in_channels", "out_channels")}
    if not all(type(value) is int for value in sizes.values()):
        raise ImportRefused("The bundle's network_def has no dimensions and channels.")
    network = NetworkSpec(name=str(literal.get("name")), parameters=dict(literal.get("parameters") or {}))
    return network, {name: int(value) for name, value in sizes.items() if value is not None}


def _own_contract(table: Mapping[str, Any]) -> ModelContract:
    try:
        return contract_of(dict(table), f"The table {CONTRACT_KEY!r} of {METADATA}")
    except UsageError as exc:
        raise ImportRefused(exc.message) from exc


def _ours(network: NetworkSpec, dimensions: int | None) -> NetworkSpec:
    return network_in_our_axes(network, tuple(reversed(range(dimensions or 3))))


def _check_sizes(metadata: Mapping[str, Any], sizes: Mapping[str, int], declared: ModelContract) -> None:
    """Refuse a network of other inputs or outputs than the metadata describe, unless these are declared."""
    for field, part, size in (("channels", "inputs", "in_channels"), ("labels", "outputs", "out_channels")):
        said = (_one(table_at(metadata, "network_data_format", part)) or {}).get("num_channels")
        if field not in declared.model_fields_set and size in sizes and said not in (None, sizes[size]):
            raise ImportRefused(
                f"The bundle's network has {sizes[size]} {size.replace('_', ' ')}, the metadata {one_line(said, 20)}; "
                f"declare the {field} in a contract file (--contract)."
            )


def _labels(metadata: Mapping[str, Any]) -> tuple[LabelSpec, ...] | None:
    """Return the labels of the outputs' ``channel_def`` when it begins with the background."""
    output = _one(table_at(metadata, "network_data_format", "outputs"))
    definition = table_at(output or {}, "channel_def")
    if not definition or not all(key.isascii() and key.isdigit() for key in definition):
        return None
    names = [one_line(definition[key]) for key in sorted(definition, key=int)]
    if sorted(map(int, definition)) != list(range(len(names))) or len(names) < 2 or names[0].lower() != "background":
        return None
    return tuple(
        LabelSpec(value=n, name=name or f"Label {n}", colour_rgb=PALETTE[(n - 1) % len(PALETTE)])
        for n, name in enumerate(names)
        if n > 0
    )


def _channels(metadata: Mapping[str, Any], steps: Steps) -> tuple[Channel, ...] | None:
    """Return the input channels, where their number and their normalisation are both known."""
    image = _one(table_at(metadata, "network_data_format", "inputs"))
    count = (image or {}).get("num_channels")
    if image is None or type(count) is not int or not 0 < count <= 32:
        return None
    how = steps.normalisation_of(count)
    if how is None:
        return None
    definition = table_at(image, "channel_def") or {}
    names = [slug(definition.get(str(n), f"channel-{n}")).lower() for n in range(count)]
    if len(set(names)) != count:
        names = [f"{name}-{n}"[:64] for n, name in enumerate(names)]
    modality = one_line(image.get("modality", ""), 40).upper()
    code = {"CT": "CT", "MR": "MR", "MRI": "MR"}.get(modality, "")
    return tuple(Channel(name=name, modality=code, normalisation=how) for name in names)


def _one(tables: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the only table in a table of tables."""
    values = [value for value in (tables or {}).values() if isinstance(value, Mapping)]
    return values[0] if len(values) == 1 else None


def _words(metadata: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return name, title and, where the bundle says them, training data and licence."""
    name = metadata.get("name")
    known: dict[str, Any] = {"name": slug(name if isinstance(name, str) else folder.name)}
    if isinstance(name, str) and name.strip():
        known["title"] = one_line(name)
    source, licence = (
        next((one_line(metadata[key]) for key in keys if isinstance(metadata.get(key), str) and metadata[key]), None)
        for keys in (("data_source", "task"), ("license", "licence", "copyright"))
    )
    if source and licence:
        known["training"] = TrainingRecord(dataset=source, licence=licence)
    return known
