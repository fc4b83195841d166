"""What ``model.json`` says about a model: the only description segdesk trusts, and only after checking it."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from segdesk.core.labels import Code, Concept, Label, LabelTable
from segdesk.core.provenance import utc_now
from segdesk.zoo.allowed_networks import ALLOWED_NETWORKS

FORMAT_VERSION = 1
"""Version of the layout of ``model.json`` that this segdesk writes and reads."""

MOST_MEMBERS = 16
"""Networks a model folder may hold."""

Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""A name that is safe as a file name: no separator, no leading dot."""

Line = Annotated[str, Field(max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""One line of printable text."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FlipAxis = Literal["k", "j", "i"]
FLIP_AXES: tuple[FlipAxis, ...] = ("k", "j", "i")
Byte = Annotated[int, Field(ge=0, le=255)]
Millimetre = Annotated[float, Field(gt=0, le=1000)]
Extent = Annotated[float, Field(gt=0, le=100_000)]
PatchSize = Annotated[int, Field(ge=1, le=2048)]
SliceContext = Annotated[int, Field(ge=0, le=8)]
Views = Annotated[tuple[FlipAxis, ...], Field(min_length=1, max_length=3)]
LabelValue = Annotated[int, Field(ge=1, le=65535)]
Number = Annotated[float, Field(ge=-1e9, le=1e9)]
Word = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}$")]
Flat = bool | int | Number | Word
Parameter = Flat | Annotated[list[Flat | Annotated[list[Flat], Field(max_length=64)]], Field(max_length=64)]
"""A network parameter: a number, a flag, a lower-case word, or a (nested) list of them."""


class Record(BaseModel):
    """Frozen, no unknown keys, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NetworkSpec(Record):
    """An architecture by allow-listed name; `parameters` are what its builder in `nn.networks` takes."""

    name: str
    parameters: dict[Word, Parameter] = Field(default_factory=dict, max_length=64)

    @field_validator("name")
    @classmethod
    def _is_allowed(cls, name: str) -> str:
        if name not in ALLOWED_NETWORKS:
            raise ValueError(f"unknown network {name[:40]!r}; known are {', '.join(sorted(ALLOWED_NETWORKS))}")
        return name


class Normalisation(Record):
    """How the intensities of a channel are brought to the network's scale.

    - ``none``: as they are.
    - ``zscore``: (x - mean) / std of the finite voxels of the image; ``zscore_nonzero``: of the non-zero ones.
    - ``zscore_inside``: as ``zscore_nonzero``, but the zeros stay 0 (skull-stripped MR).
    - ``zscore_cropped``: of the box around the non-zero voxels.
    - ``percentiles``: clip to the `low` and `high` percentiles of the image, scale to [0, 1].
    - ``window``: clip to [`low`, `high`] (HU for CT), then (x - `mean`) / `std`.
    """

    kind: Literal["none", "zscore", "zscore_nonzero", "zscore_inside", "zscore_cropped", "percentiles", "window"] = (
        "zscore"
    )
    low: Number | None = None
    high: Number | None = None
    mean: Number | None = None
    std: Number | None = None

    @model_validator(mode="after")
    def _has_its_numbers(self) -> Normalisation:
        if self.kind in ("percentiles", "window") and (self.low is None or self.high is None or self.low >= self.high):
            raise ValueError(f"normalisation {self.kind!r} needs low < high")
        if self.kind == "percentiles" and ((self.low or 0) < 0 or (self.high or 0) > 100):
            raise ValueError("percentiles must lie in 0..100")
        if self.kind == "window" and (self.mean is None or self.std is None or self.std <= 0):
            raise ValueError("normalisation 'window' needs mean and a std above 0")
        return self


class Channel(Record):
    """One input of the network: its name ("t1c"), DICOM modality ("MR", "" for any) and normalisation."""

    name: Slug
    modality: Line = ""
    normalisation: Normalisation = Normalisation()


class CodeSpec(Record):
    """A coded meaning, for DICOM SEG: scheme "SCT", value, meaning."""

    scheme: Line
    value: Line
    meaning: Line

    @property
    def concept(self) -> Concept:
        """The same as a label map carries it."""
        return Concept(Code(self.value, self.scheme, self.meaning))


class LabelSpec(Record):
    """One label the model draws; output channel c > 0 of the network is the c-th label of the list."""

    value: LabelValue
    name: Annotated[Line, Field(min_length=1)]
    colour_rgb: tuple[Byte, Byte, Byte]
    code: CodeSpec | None = None


class PostRule(Record):
    """What is cleaned up in one label after the network: small pieces go, then all but the largest."""

    label: LabelValue
    largest_component: bool = False
    minimum_size_mm3: Annotated[float, Field(ge=0, le=1e9)] = 0.0


class CaseHash(Record):
    """A case the weights have seen: the hash of its pixels and its patient's key."""

    image_sha256: Sha256
    patient_key: Line


class ModelRef(Record):
    """Another model, named by what cannot change."""

    name: Slug
    version: Slug
    weights_sha256: Sha256


class Ancestor(ModelRef):
    """A model these weights descend from, with all the cases it has seen."""

    cases: tuple[CaseHash, ...] = ()


class TrainingRecord(Record):
    """What the weights were made from; an evaluation on any of these cases is no evaluation."""

    dataset: Line
    licence: Line
    recipe: Line = ""
    training_cases: tuple[CaseHash, ...] = ()
    validation_cases: tuple[CaseHash, ...] = ()
    ancestors: tuple[Ancestor, ...] = ()

    @property
    def seen(self) -> frozenset[CaseHash]:
        """Every case that influenced the weights, those of the ancestors included."""
        own = (*self.training_cases, *self.validation_cases)
        return frozenset(own).union(*(ancestor.cases for ancestor in self.ancestors))


class ImportRecord(Record):
    """Where weights that were not trained here came from.

    Parameters
    ----------
    format : str
        "monai-bundle", "nnunet-v2" or "state-dict".
    source : str
        Name of the file of weights; of several, their names with their folders.
    source_sha256 : str
        Hash of that file, as it was imported; of several, of their bytes one after the other.
    notes : tuple of str
        What differs from how its makers run it.
    """

    format: Literal["monai-bundle", "nnunet-v2", "state-dict"]
    source: Line
    source_sha256: Sha256
    notes: Annotated[tuple[Line, ...], Field(max_length=64)] = ()


class ModelSpec(Record):
    """The content of ``model.json``.

    Parameters
    ----------
    format_version : int
        Always `FORMAT_VERSION`.
    name, version : str
        File-name-safe; together they name a model for people ("hippocampus-unet3d", "1").
    title : str
        One line for the list of models.
    task : str
        "segmentation".
    dimensions : int
        2 or 3.
    slice_context : int
        Of a 2D model: neighbouring slices it sees on each side of the one it draws ("2.5D"); at the ends of
        the image the last slice stands for those beyond. 0: none.
    views : tuple of str
        Of a 2D model: axes of the model's grid, "k" first, across which it was trained on slices. One that knows
        all three can be run along all of them.
    network : NetworkSpec
        Takes `channels` in their order, of a 2.5D model each with its slices in ascending order; gives background
        and then `labels` in their order.
    members : int
        Networks in the weights ("members.0." and so on), whose probabilities are averaged; 1: one network, no prefix.
    channels : tuple of Channel
        Unique names.
    labels : tuple of LabelSpec
        Ascending, unique values.
    spacing_kji_mm : tuple of float, optional
        Voxel size the network was trained on; None: the image's own. 2D models of single slices across k
        use j and i only.
    patch_kji : tuple of int
        Window given to the network; (1, J, I) for 2D models.
    orientation : str, optional
        Directions of the (i, j, k) axes the network was trained on, "RAS" or "LPS"; None: the image's own.
    trained_extent_kji_mm : tuple of float, optional
        Length of the longest image it was trained on along each axis of its grid: one that shows far more is
        another field of view. None: not known.
    flip_axes : tuple of str, optional
        Axes of the model's grid, of "k", "j", "i", along which a mirror image is as plausible: those of
        test-time flips. None: not known.
    post_processing : tuple of PostRule
        At most one per label.
    training : TrainingRecord, optional
        None only for untrained weights.
    metrics : mapping
        JSON numbers of the model's own validation.
    parent : ModelRef, optional
        The model it was fine-tuned from.
    imported : ImportRecord, optional
        Where the weights came from, unless they were trained here.
    weights_sha256 : str
        Hash of the bytes of ``weights.safetensors``.
    untrained : bool
        Random weights, there to show the program only.
    created : datetime
        With a time zone.
    """

    format_version: Literal[1] = 1
    name: Slug
    version: Slug = "1"
    title: Line
    task: Literal["segmentation"] = "segmentation"
    dimensions: Literal[2, 3]
    slice_context: SliceContext = 0
    views: Views = ("k",)
    network: NetworkSpec
    members: Annotated[int, Field(ge=1, le=MOST_MEMBERS)] = 1
    channels: Annotated[tuple[Channel, ...], Field(min_length=1, max_length=32)]
    labels: Annotated[tuple[LabelSpec, ...], Field(min_length=1, max_length=255)]
    spacing_kji_mm: tuple[Millimetre, Millimetre, Millimetre] | None = None
    patch_kji: tuple[PatchSize, PatchSize, PatchSize]
    orientation: Literal["RAS", "LPS"] | None = None
    trained_extent_kji_mm: tuple[Extent, Extent, Extent] | None = None
    flip_axes: Annotated[tuple[FlipAxis, ...], Field(max_length=3)] | None = None
    post_processing: tuple[PostRule, ...] = ()
    training: TrainingRecord | None = None
    metrics: dict[str, JsonValue] = Field(default_factory=dict)
    parent: ModelRef | None = None
    imported: ImportRecord | None = None
    weights_sha256: Sha256
    untrained: bool = False
    created: AwareDatetime = Field(default_factory=utc_now)

    @model_validator(mode="after")
    def _is_coherent(self) -> ModelSpec:
        names = [channel.name for channel in self.channels]
        values = [label.value for label in self.labels]
        rules = [rule.label for rule in self.post_processing]
        if len(set(names)) != len(names):
            raise ValueError("two channels have the same name")
        if values != sorted(set(values)):
            raise ValueError("label values must be unique and ascending")
        if len(set(rules)) != len(rules) or not set(rules) <= set(values):
            raise ValueError("post_processing must name each label at most once, and only labels of the model")
        if self.dimensions == 2 and self.patch_kji[0] != 1:
            raise ValueError("the patch of a 2D model is (1, rows, columns)")
        if self.dimensions == 3 and (self.slice_context or self.views != ("k",)):
            raise ValueError("slice_context and views are of 2D models; a 3D model sees all directions")
        if self.views not in (("k",), FLIP_AXES):
            raise ValueError('views is ["k"], or all three: ["k", "j", "i"]')
        if not _is_finite(self.metrics):
            raise ValueError("metrics hold NaN or infinite numbers; use null")
        return self

    @property
    def identity(self) -> str:
        """Name and version as people write them: "hippocampus-unet3d@1"."""
        return f"{self.name}@{self.version}"

    @property
    def channel_names(self) -> tuple[str, ...]:
        """The channel names in the order the network takes them."""
        return tuple(channel.name for channel in self.channels)

    @property
    def input_channels(self) -> int:
        """How many channels the network takes: each of the image's, with its neighbouring slices."""
        return len(self.channels) * (1 + 2 * self.slice_context)

    @property
    def uses_slice_distance(self) -> bool:
        """Whether the distance of slices means something to the model: to all but 2D models of single slices."""
        return self.dimensions == 3 or self.slice_context > 0 or len(self.views) > 1

    @property
    def label_values(self) -> tuple[int, ...]:
        """The label value of each output channel, background (0) first."""
        return 0, *(label.value for label in self.labels)

    @property
    def label_table(self) -> LabelTable:
        """The labels as the table a label map carries."""
        return LabelTable(
            Label(each.value, each.name, each.colour_rgb, each.code.concept if each.code else None)
            for each in self.labels
        )

    @property
    def reference(self) -> ModelRef:
        """The model as a parent would be named."""
        return ModelRef(name=self.name, version=self.version, weights_sha256=self.weights_sha256)


def _is_finite(value: JsonValue) -> bool:
    """Whether no number in a JSON value is NaN or infinite."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(_is_finite(each) for each in value.values())
    return all(_is_finite(each) for each in value) if isinstance(value, list) else True
