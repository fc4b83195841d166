"""Read recipes from TOML files.

Tables: ``[model]``, ``[data]`` (with ``[data.channels]`` and ``[[data.labels]]``), ``[network]``,
``[preprocessing]``, ``[loss]``, ``[augment]``, ``[training]``, ``[[post_processing]]``; all optional.
A recipe without ``[data]`` is used on nnU-Net and MSD folders.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segdesk.errors import SegdeskError, UsageError
from segdesk.nn.augment import AugmentSettings
from segdesk.nn.losses import LossSettings
from segdesk.nn.plain import from_table
from segdesk.nn.recipe import Layout, PreprocessingChoice, Recipe, RecipeLabel, TrainingNumbers
from segdesk.zoo.spec import NetworkSpec, Normalisation, PostRule


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
    rules = tables.pop("post_processing", [])
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
        post_processing=_rules(rules),
        text=text,
    )


def _model(table: Mapping[str, Any]) -> dict[str, Any]:
    unknown = set(table) - {"name", "title", "half_precision"}
    if unknown:
        raise UsageError(f"[model] has no {sorted(unknown)[0]!r}; it has name, title and half_precision.")
    half = table.get("half_precision", False)
    if not isinstance(half, bool):
        raise UsageError("[model] half_precision is true or false.")
    return {key: str(value) for key, value in table.items()} | {"half_precision": half}


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


def _rules(rows: object) -> tuple[PostRule, ...]:
    try:
        return tuple(PostRule.model_validate(row) for row in (rows if isinstance(rows, list) else [rows]))
    except ValueError as exc:
        raise UsageError(f"[[post_processing]] is not valid: {_last_line(exc)}.") from exc


def _last_line(exc: ValueError) -> str:
    """Return the reason from the several lines of a validation error, without its link."""
    lines = [line.strip() for line in str(exc).splitlines() if "https://" not in line]
    return lines[-1].rstrip(".") if lines else "unknown reason"
