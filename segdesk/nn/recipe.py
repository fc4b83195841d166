"""What a recipe says: everything about a training that is not the data themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from segdesk.errors import UsageError
from segdesk.nn.augment import AugmentSettings
from segdesk.nn.losses import LossSettings
from segdesk.zoo.spec import NetworkSpec, Normalisation, PostRule


@dataclass(frozen=True, slots=True)
class RecipeLabel:
    """A label to learn.

    Parameters
    ----------
    value : int
        In the model's output.
    name : str
        For people.
    source : tuple of int
        Values in the files that mean it; empty: `value` itself.
    colour_rgb : tuple of int
        0..255 each; empty: from the palette.
    """

    value: int
    name: str
    source: tuple[int, ...] = ()
    colour_rgb: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the files of a data set are, relative to its folder.

    Parameters
    ----------
    channels : mapping of str to str
        Channel name to a pattern with ``{case}`` ("images/{case}.nii.gz"), which may hold ``*``.
    label_pattern : str
        The same for the label files.
    labels : tuple of RecipeLabel
        What to learn.
    threshold : float, optional
        Label files are grey: above it is the (only) label.
    ignore : int, optional
        Value in the label files of voxels that must not train.
    background : tuple of int
        Values in the label files that mean no label, besides 0 (unless 0 is the source of one).
    split : str
        CSV with the columns case and split ("train"; "val" or "test" are kept for the final test).
    patients : str
        CSV with the columns case and patient.
    refused : tuple of str
        Glob patterns of files that are known to be no cases; each is reported.
    name, licence : str
        For the model's record.
    """

    channels: Mapping[str, str]
    label_pattern: str
    labels: tuple[RecipeLabel, ...]
    threshold: float | None = None
    ignore: int | None = None
    background: tuple[int, ...] = ()
    split: str = ""
    patients: str = ""
    refused: tuple[str, ...] = ()
    name: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class PreprocessingChoice:
    """The model's grid; what is missing is taken from the data (median spacing and shape).

    Parameters
    ----------
    dimensions : int
        2 or 3; 0: 3 unless most images have fewer than 8 slices.
    slice_context : int
        Of a 2D model: neighbouring slices on each side that it sees with the one it draws (2.5D).
    views : tuple of str
        Of a 2D model: ("k",), or ("k", "j", "i") to learn from slices across all axes, which running it along all
        three needs.
    orientation : str
        "RAS", "LPS" or "": the source's axes.
    spacing_kji_mm : tuple of float
        Empty: the median of the training cases.
    patch_kji : tuple of int
        Empty: the median shape, as far as memory and time allow.
    normalisation : Normalisation
        Of every channel.
    memory_mib : float
        What a training step may use, where depth, patch and batch are planned; 0: by the device.
    """

    dimensions: int = 0
    slice_context: int = 0
    views: tuple[str, ...] = ("k",)
    orientation: str = ""
    spacing_kji_mm: tuple[float, ...] = ()
    patch_kji: tuple[int, ...] = ()
    normalisation: Normalisation = field(default_factory=lambda: Normalisation(kind="zscore", low=0.5, high=99.5))
    memory_mib: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a budget that is none."""
        if self.memory_mib < 0:
            raise UsageError("memory_mib is 0 or more.")


@dataclass(frozen=True, slots=True)
class TrainingNumbers:
    """Numbers of the optimiser and of the run.

    Parameters
    ----------
    optimizer : str
        "adamw" or "sgd" (Nesterov momentum 0.99, as nnU-Net).
    learning_rate : float
        At the start; it falls to 0 as (1 - progress) ** 0.9.
    weight_decay : float
        Per step, decoupled for AdamW.
    batch_size : int
        Patches per step.
    ema : float
        Decay of the averaged weights, which are the ones kept; 0 turns averaging off.
    clip_norm : float
        Gradients longer than this are shortened.
    foreground : float
        Fraction of patches centred on a label.
    fold : float
        Fraction of the training patients that choose the best state and train nothing; 0: the last state is kept.
    validations : int
        How often they are looked at in a run.
    bf16 : bool
        Mixed precision, also on the CPU.
    fp16 : bool
        Mixed precision in float16 with a scaled loss, on a CUDA device only; elsewhere `bf16` decides.
    patience : int
        Looks at the fold without a better state after which the run ends before its budget; 0: never.
    batch_norm : bool
        Train a network that has no norms with batch norm, which is folded into its weights at the end; see
        `segdesk.nn.batch_norm`.
    """

    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    batch_size: int = 2
    ema: float = 0.998
    clip_norm: float = 5.0
    foreground: float = 0.67
    fold: float = 0.15
    validations: int = 20
    bf16: bool = True
    fp16: bool = False
    patience: int = 0
    batch_norm: bool = False

    def __post_init__(self) -> None:
        """Refuse numbers that cannot train."""
        if self.optimizer not in ("adamw", "sgd"):
            raise UsageError(f"Optimizer {self.optimizer!r} is unknown; use adamw or sgd.")
        if self.learning_rate <= 0 or self.batch_size < 1 or not 0 <= self.ema < 1 or not 0 <= self.fold < 1:
            raise UsageError("learning_rate > 0, batch_size >= 1, 0 <= ema < 1 and 0 <= fold < 1 are needed.")
        if self.weight_decay < 0 or self.clip_norm <= 0 or not 0 <= self.foreground <= 1:
            raise UsageError("weight_decay >= 0, clip_norm > 0 and 0 <= foreground <= 1 are needed.")
        if self.validations < 1 or self.patience < 0:
            raise UsageError("validations >= 1 and patience >= 0 are needed.")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole recipe.

    `text` is what the model folder keeps, `post_processing` what is cleaned up after the network; with
    `half_precision` the weights are stored as float16, half the bytes, and scored as they are stored.
    """

    name: str = ""
    title: str = ""
    half_precision: bool = False
    layout: Layout | None = None
    network: NetworkSpec | None = None
    preprocessing: PreprocessingChoice = field(default_factory=PreprocessingChoice)
    loss: LossSettings = field(default_factory=LossSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    training: TrainingNumbers = field(default_factory=TrainingNumbers)
    post_processing: tuple[PostRule, ...] = ()
    text: str = ""
