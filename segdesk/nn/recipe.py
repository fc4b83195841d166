"""Recipes: everything about a training that is not the data themselves, as one TOML file.

Tables: ``[model]``, ``[data]`` (with ``[data.channels]`` and ``[[data.labels]]``), ``[network]``,
``[preprocessing]``, ``[loss]``, ``[augment]``, ``[training]``. All are optional but ``[model]``'s name;
a recipe without ``[data]`` is used on nnU-Net and MSD folders.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segdesk.errors import SegdeskError, UsageError
from segdesk.nn.augment import AugmentSettings
from segdesk.nn.losses import LossSettings
from segdesk.nn.plain import from_table
from segdesk.zoo.spec import NetworkSpec, Normalisation


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
    orientation : str
        "RAS", "LPS" or "": the source's axes.
    spacing_kji_mm : tuple of float
        Empty: the median of the training cases.
    patch_kji : tuple of int
        Empty: the median shape, as far as memory and time allow.
    normalisation : Normalisation
        Of every channel.
    """

    dimensions: int = 0
    orientation: str = ""
    spacing_kji_mm: tuple[float, ...] = ()
    patch_kji: tuple[int, ...] = ()
    normalisation: Normalisation = field(default_factory=lambda: Normalisation(kind="zscore", low=0.5, high=99.5))


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
        Fraction of the training patients that choose the best state and train nothing.
    validations : int
        How often they are looked at in a run.
    bf16 : bool
        Mixed precision, also on the CPU.
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

    def __post_init__(self) -> None:
        """Refuse numbers that cannot train."""
        if self.optimizer not in ("adamw", "sgd"):
            raise UsageError(f"Optimizer {self.optimizer!r} is unknown; use adamw or sgd.")
        if self.learning_rate <= 0 or self.batch_size < 1 or not 0 <= self.ema < 1 or not 0 < self.fold < 1:
            raise UsageError("learning_rate > 0, batch_size >= 1, 0 <= ema < 1 and 0 < fold < 1 are needed.")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole recipe; `text` is what the model folder keeps."""

    name: str = ""
    title: str = ""
    layout: Layout | None = None
    network: NetworkSpec | None = None
    preprocessing: PreprocessingChoice = field(default_factory=PreprocessingChoice)
    loss: LossSettings = field(default_factory=LossSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    training: TrainingNumbers = field(default_factory=TrainingNumbers)
    text: str = ""


def read_recipe(path: Path) -> Recipe:
    """Read a recipe file.

    Raises
    ------
    UsageError
        If it cannot be read, is no TOML, or says something segdesk does not know.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return parse_recipe(text)
    except OSError as exc:
        raise UsageError(f"The recipe {path.name} cannot be read ({exc.strerror}).", path=path) from exc
    except UnicodeDecodeError as exc:
        raise UsageError(f"The recipe {path.name} is no text in UTF-8.", path=path) from exc
    except SegdeskError as exc:
        raise UsageError(f"Recipe {path.name}: {exc.message}", path=path) from exc


def parse_recipe(text: str) -> Recipe:
    """Parse the text of a recipe; UsageError where it is not one."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise UsageError(f"this is no TOML ({exc}).") from exc
    known = {"model", "data", "network", "preprocessing", "loss", "augment", "training"}
    unknown = [name for name, table in tables.items() if name not in known or not isinstance(table, dict)]
    if unknown:
        raise UsageError(f"there is no table [{unknown[0]}]; known are {', '.join(sorted(known))}.")
    return Recipe(
        **_model(tables.get("model", {})),
        layout=_layout(tables["data"]) if "data" in tables else None,
        network=_network(tables.get("network")),
        preprocessing=_preprocessing(tables.get("preprocessing", {})),
        loss=from_table(LossSettings, tables.get("loss", {}), "loss"),
        augment=from_table(AugmentSettings, tables.get("augment", {}), "augment"),
        training=from_table(TrainingNumbers, tables.get("training", {}), "training"),
        text=text,
    )


def _model(table: Mapping[str, Any]) -> dict[str, str]:
    unknown = set(table) - {"name", "title"}
    if unknown:
        raise UsageError(f"[model] has no {sorted(unknown)[0]!r}; it has name and title.")
    return {key: str(value) for key, value in table.items()}


def _layout(table: Mapping[str, Any]) -> Layout:
    rows = table.get("labels", [])
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise UsageError("[data] needs at least one [[data.labels]] with value and name.")
    labels = tuple(from_table(RecipeLabel, row, "data.labels") for row in rows)
    rest = {key: value for key, value in table.items() if key not in ("labels", "channels")}
    channels = table.get("channels", {})
    if not isinstance(channels, dict) or not channels:
        raise UsageError('[data.channels] names at least one channel: image = "images/{case}.nii.gz".')
    layout = from_table(Layout, rest, "data", {"labels": labels, "channels": dict(channels)})
    for pattern in (*layout.channels.values(), layout.label_pattern):
        if pattern.count("{case}") != 1 or pattern.startswith("/") or ".." in Path(pattern).parts:
            raise UsageError(f"{pattern!r} must hold {{case}} once and stay inside the data folder.")
    return layout


def _network(table: Mapping[str, Any] | None) -> NetworkSpec | None:
    if table is None:
        return None
    numbers = {key: value for key, value in table.items() if key != "name"}
    try:
        return NetworkSpec(name=str(table.get("name", "residual_unet")), parameters=numbers)
    except ValueError as exc:
        raise UsageError(f"[network] is not valid: {_last_line(exc)}.") from exc


def _preprocessing(table: Mapping[str, Any]) -> PreprocessingChoice:
    rest = {key: value for key, value in table.items() if key != "normalisation"}
    how = table.get("normalisation")
    try:
        more = {} if how is None else {"normalisation": Normalisation.model_validate(how)}
    except ValueError as exc:
        raise UsageError(f"[preprocessing.normalisation] is not valid: {_last_line(exc)}.") from exc
    return from_table(PreprocessingChoice, rest, "preprocessing", more)


def _last_line(exc: ValueError) -> str:
    """Return the reason from the several lines of a validation error, without its link."""
    lines = [line.strip() for line in str(exc).splitlines() if "https://" not in line]
    return lines[-1].rstrip(".") if lines else "unknown reason"
