"""What a model must say before it can be used: found in its files, or declared by the person who imports it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, ValidationError, model_validator

from segdesk.errors import BadModelFolder, ImportRefused, UsageError
from segdesk.zoo.plain_json import parse_json
from segdesk.zoo.problem import first_problem
from segdesk.zoo.spec import (
    Channel,
    FlipAxis,
    ImportRecord,
    LabelSpec,
    Line,
    Millimetre,
    ModelSpec,
    NetworkSpec,
    PatchSize,
    PostRule,
    Record,
    SliceContext,
    Slug,
    TrainingRecord,
    Views,
)

MAX_CONTRACT_BYTES = 1 << 20

AxisOrder = Literal["kji", "ijk"]
"""Order of the spatial axes of the arrays a network was trained on: nnU-Net's and ours, or MONAI's."""

_NEEDED: dict[str, str] = {
    "name": "a name",
    "dimensions": "2 or 3",
    "network": "the network's name and numbers",
    "channels": "the channels, each with its normalisation",
    "labels": "the labels in the order of the network's outputs, without background",
    "spacing_kji_mm": "the voxel size it was trained on (null: the image's own)",
    "patch_kji": "the window it takes",
    "orientation": '"RAS", "LPS" or null for the image\'s own',
    "axis_order": '"kji" or "ijk" (MONAI): the axes of the arrays it was trained on',
    "training": "the training data and their licence",
}
"""What must be known, with the words in which it is asked for."""


class ModelContract(Record):
    """Any part of ``model.json``, and how the weights of a bare state dict are to be read.

    A field that is there counts as known, also where it is null. Parameters are those of
    `ModelSpec`; further:

    Parameters
    ----------
    axis_order : str, optional
        "kji" or "ijk". `spacing_kji_mm`, `patch_kji` and the numbers of `network` are always
        in our order.
    state_dict : str, optional
        Where in the file the tensors are: "state_dict", "model"; None: found by itself.
    prefix : str, optional
        What every name of a tensor begins with: "module."; None: found by itself.
    fold : str, optional
        Of an nnU-Net folder: "0" to "4", "all" (the one trained on all cases), or several: "0,2,3". None: every
        fold that is there; several answer together, as one model.
    configuration : str, optional
        Of an nnU-Net folder: "2d", "3d_fullres", "3d_lowres".
    """

    name: Slug | None = None
    version: Slug | None = None
    title: Line | None = None
    dimensions: Literal[2, 3] | None = None
    slice_context: SliceContext | None = None
    views: Views | None = None
    network: NetworkSpec | None = None
    channels: tuple[Channel, ...] | None = None
    labels: tuple[LabelSpec, ...] | None = None
    spacing_kji_mm: tuple[Millimetre, Millimetre, Millimetre] | None = None
    patch_kji: tuple[PatchSize, PatchSize, PatchSize] | None = None
    orientation: Literal["RAS", "LPS"] | None = None
    flip_axes: tuple[FlipAxis, ...] | None = None
    post_processing: tuple[PostRule, ...] | None = None
    training: TrainingRecord | None = None
    metrics: dict[str, JsonValue] | None = None
    axis_order: AxisOrder | None = None
    state_dict: Line | None = None
    prefix: Line | None = None
    fold: Annotated[str, Field(pattern=r"^([0-9]{1,2}|all)(, ?([0-9]{1,2}|all)){0,99}$")] | None = None
    configuration: Slug | None = None

    @model_validator(mode="after")
    def _channels_say_their_normalisation(self) -> ModelContract:
        if any("normalisation" not in channel.model_fields_set for channel in self.channels or ()):
            raise ValueError('every channel needs its "normalisation"; {"kind": "none"} takes voxels as they are')
        return self

    def completed_by(self, declared: ModelContract) -> ModelContract:
        """Return this contract, with what was declared in place of what was found."""
        given = {name: getattr(declared, name) for name in declared.model_fields_set}
        return self.model_copy(update=given)

    @property
    def missing(self) -> tuple[str, ...]:
        """The fields that must be known and are not."""
        nullable = {"spacing_kji_mm", "orientation"}
        return tuple(
            name
            for name in _NEEDED
            if name not in self.model_fields_set or (name not in nullable and getattr(self, name) is None)
        )

    def to_spec(self, imported: ImportRecord) -> ModelSpec:
        """Return what ``model.json`` will say; its hash is filled in when the weights are written.

        Raises
        ------
        ImportRefused
            If something is not known (code ``contract_incomplete``) or parts contradict each other.
        """
        if self.missing:
            asked = "; ".join(f"{name}: {_NEEDED[name]}" for name in self.missing)
            raise ImportRefused(
                f"The model does not say all that must be known. Declare in a contract file (--contract): {asked}.",
                code="contract_incomplete",
            )
        fields = {name: getattr(self, name) for name in self.model_fields_set & set(ModelSpec.model_fields)}
        given = {name: value for name, value in fields.items() if value is not None}
        title = {"title": self.title or f"{self.name} (imported)"}
        try:
            return ModelSpec(**{**given, **title}, weights_sha256="0" * 64, imported=imported)
        except ValidationError as exc:
            raise ImportRefused(f"What is known of the model does not fit together: {first_problem(exc)}.") from exc


def read_contract(path: Path) -> ModelContract:
    """Read a contract file, JSON or TOML.

    Raises
    ------
    UsageError
        If it is missing, too large, no JSON or TOML, or says something no model can say.
    """
    try:
        if path.stat().st_size > MAX_CONTRACT_BYTES:
            raise UsageError(f"{path.name} is larger than {MAX_CONTRACT_BYTES >> 20} MiB; is it a contract?", path=path)
        content = path.read_bytes()
    except OSError as exc:
        raise UsageError(f"The contract file cannot be read ({exc.strerror}).", path=path) from exc
    return contract_of(_parsed(content, path), path.name)


def contract_of(plain: Any, what: str) -> ModelContract:
    """Check a table of plain values as a contract; UsageError when it is none."""
    try:
        return ModelContract.model_validate_json(json.dumps(plain, default=str), strict=True)
    except ValidationError as exc:
        raise UsageError(f"{what} is no contract: {first_problem(exc)}.") from exc


def _parsed(content: bytes, path: Path) -> Any:
    try:
        if path.suffix.lower() == ".toml":
            return tomllib.loads(content.decode("utf-8"))
        return parse_json(content, path.name)
    except (ValueError, RecursionError) as exc:
        raise UsageError(f"{path.name} is damaged: {str(exc).splitlines()[0][:160]}.", path=path) from exc
    except BadModelFolder as exc:
        raise UsageError(exc.message, path=path) from exc
