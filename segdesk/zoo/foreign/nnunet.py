"""A results folder of nnU-Net v2: ``dataset.json``, ``plans.json``, ``fold_*/checkpoint_final.pth``.

The folds of a cross-validation become one model of several networks, as nnU-Net itself predicts with them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from segdesk.core.labels import PALETTE
from segdesk.errors import ImportRefused
from segdesk.zoo.foreign.axes import network_in_our_axes, to_ours
from segdesk.zoo.foreign.contract import ModelContract
from segdesk.zoo.foreign.found import FoundModel, inner_file, one_line, read_table, slug
from segdesk.zoo.foreign.nnunet_network import network_of_plan
from segdesk.zoo.problem import first_problem
from segdesk.zoo.spec import MOST_MEMBERS, Channel, LabelSpec, Normalisation, TrainingRecord

_CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_best.pth")
_FOLD = re.compile(r"fold_(\d{1,2}|all)")

_FIXED_NOTES = (
    "nnU-Net resamples images with cubic splines and probabilities likewise; here both are linear.",
    "nnU-Net cuts the image to its non-zero part first; here the whole image is taken.",
    "nnU-Net mirrors the image at test time by default; here that is an option (--tta).",
)


def is_nnunet(folder: Path) -> bool:
    """Whether a folder looks like trained results of nnU-Net v2."""
    return (folder / "plans.json").is_file() and (folder / "dataset.json").is_file()


def inspect_nnunet(folder: Path, declared: ModelContract) -> FoundModel:
    """Read dataset and plans of a results folder.

    Parameters
    ----------
    folder : Path
        ``.../Trainer__Plans__3d_fullres``.
    declared : ModelContract
        Its `fold` and `configuration` choose, where there is a choice.

    Raises
    ------
    ImportRefused
        If files are missing, or the model is one that cannot be expressed exactly: regions,
        cascades, other networks, other normalisations.
    """
    dataset, plans = _table(folder, "dataset.json"), _table(folder, "plans.json")
    try:
        configuration = _configuration(folder, plans, declared.configuration)
        return _found(folder, dataset, plans, configuration, declared.fold)
    except ValidationError as exc:
        raise ImportRefused(f"The plans of this nnU-Net model are damaged: {first_problem(exc)}.", path=folder) from exc
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as exc:
        what = one_line(exc, 80)
        raise ImportRefused(f"The plans of this nnU-Net model are damaged or of another version ({what}).") from exc


@dataclass(frozen=True, slots=True)
class _Configuration:
    name: str
    plan: Mapping[str, Any]

    @property
    def dimensions(self) -> int:
        return len(self.plan["patch_size"])


def _found(
    folder: Path, dataset: Mapping[str, Any], plans: Mapping[str, Any], configuration: _Configuration, fold: str | None
) -> FoundModel:
    dims, plan = configuration.dimensions, configuration.plan
    axes, spacing, patch = _space(plans, configuration)
    checkpoints, fold_notes = _checkpoints(folder, fold)
    channels, channel_notes = _channels(dataset, plans, plan)
    reader = str(dataset.get("overwrite_image_reader_writer", plans.get("image_reader_writer", "")))
    dataset_name = one_line(plans.get("dataset_name", dataset.get("name", folder.name)))
    contract = ModelContract(
        name=slug(f"{dataset_name}-{configuration.name}"),
        title=one_line(f"{dataset_name} ({configuration.name}, nnU-Net)"),
        dimensions=3 if dims == 3 else 2,
        network=network_in_our_axes(network_of_plan(plan, dims), axes),
        channels=channels,
        labels=_labels(dataset),
        spacing_kji_mm=spacing,
        patch_kji=patch,
        orientation="RAS" if reader == "NibabelIOWithReorient" else None,
        axis_order="kji",
    ).completed_by(_training(dataset, dataset_name))
    return FoundModel(
        "nnunet-v2",
        checkpoints,
        contract,
        axes,
        (("configuration", configuration.name),),
        (*fold_notes, *channel_notes, *_FIXED_NOTES, *_file_notes(folder)),
    )


def _table(folder: Path, name: str) -> Mapping[str, Any]:
    path = inner_file(folder, name)
    if path is None:
        raise ImportRefused(f"{folder.name!r} has no {name}; give the whole results folder of nnU-Net.", path=folder)
    return read_table(path)


def _configuration(folder: Path, plans: Mapping[str, Any], wanted: str | None) -> _Configuration:
    """Choose by word, by the folder's name, or because there is only one."""
    known = {name: plan for name, plan in plans["configurations"].items() if isinstance(plan, Mapping)}
    name = wanted or folder.name.rpartition("__")[2]
    if name not in known:
        if wanted or len(known) != 1:
            raise ImportRefused(
                f"The plans have the configurations {', '.join(known)[:200]}; say which one the folder holds "
                '("configuration" in a contract file).',
                code="contract_incomplete",
                path=folder,
            )
        name = next(iter(known))
    plan = dict(known[name])
    for _ in range(len(known)):
        parent = plan.pop("inherits_from", None)
        if parent is None:
            break
        plan = {**known[parent], **plan}
    if plan.get("previous_stage"):
        raise ImportRefused("A cascade needs the masks of its first stage and cannot be imported; take 3d_fullres.")
    return _Configuration(name, plan)


def _space(
    plans: Mapping[str, Any], configuration: _Configuration
) -> tuple[tuple[int, ...], tuple[float, float, float], tuple[int, int, int]]:
    """Return axes, spacing and patch; plans give both in the transposed order."""
    forward = tuple(int(n) for n in plans.get("transpose_forward", (0, 1, 2)))
    if sorted(forward) != [0, 1, 2]:
        raise ValueError("transpose_forward")
    patch = [int(n) for n in configuration.plan["patch_size"]]
    spacing = [float(n) for n in configuration.plan["spacing"]]
    if configuration.dimensions == 3:
        k, j, i = to_ours(patch, forward)
        dk, dj, di = to_ours(spacing, forward)
        return forward, (dk, dj, di), (k, j, i)
    if forward[0] != 0:
        raise ImportRefused("This 2D model cuts its slices along another axis than k; take its 3D configuration.")
    axes = tuple(n - 1 for n in forward[1:])
    j, i = to_ours(patch, axes)
    dj, di = to_ours(spacing[-2:], axes)
    dk = float(plans["original_median_spacing_after_transp"][0])
    return axes, (dk, dj, di), (1, j, i)


def _labels(dataset: Mapping[str, Any]) -> tuple[LabelSpec, ...]:
    """Return the labels in the order of the outputs; "ignore" is no output."""
    labels = dict(dataset["labels"])
    if "regions_class_order" in dataset or any(isinstance(value, list) for value in labels.values()):
        raise ImportRefused(
            "This nnU-Net model draws overlapping regions, each with its own yes or no; segdesk's models draw "
            "labels that exclude each other, so it cannot be imported exactly."
        )
    # Datasets converted from nnU-Net v1 have number to name instead of name to number.
    pairs = {name: int(value) for name, value in labels.items() if name != "ignore"}
    if sorted(pairs.values()) != list(range(len(pairs))):
        raise ValueError("labels are not 0, 1, 2, ...")
    drawn = sorted((value, name) for name, value in pairs.items() if value != 0)
    return tuple(
        LabelSpec(value=value, name=one_line(name) or f"Label {value}", colour_rgb=PALETTE[(value - 1) % len(PALETTE)])
        for value, name in drawn
    )


def _channels(
    dataset: Mapping[str, Any], plans: Mapping[str, Any], plan: Mapping[str, Any]
) -> tuple[tuple[Channel, ...], tuple[str, ...]]:
    names = dataset.get("channel_names", dataset.get("modality"))
    if not isinstance(names, Mapping):
        raise TypeError("channel_names")
    schemes, masked = list(plan["normalization_schemes"]), list(plan.get("use_mask_for_norm", []))
    numbers = plans.get("foreground_intensity_properties_per_channel", {})
    channels, notes = [], []
    for n, key in enumerate(sorted(names, key=int)):
        is_masked = bool(masked[n]) if n < len(masked) else False
        how = _normalisation(str(schemes[n]), numbers.get(str(n), {}), is_masked=is_masked)
        if how.kind.startswith("zscore") and len(names) > 1:
            notes.append("nnU-Net finds the non-zero part over all channels; here each channel has its own.")
        modality = "CT" if schemes[n] == "CTNormalization" else ""
        channels.append(Channel(name=_channel_name(names[key], n, names), modality=modality, normalisation=how))
    return tuple(channels), tuple(dict.fromkeys(notes))


def _channel_name(name: object, n: int, names: Mapping[str, object]) -> str:
    wanted = slug(name).lower()
    others = [slug(each).lower() for each in names.values()]
    return wanted if others.count(wanted) == 1 else f"{wanted}-{n}"[:64]


def _normalisation(scheme: str, numbers: Mapping[str, Any], *, is_masked: bool) -> Normalisation:
    """Return ours for a scheme of nnU-Net (``nnunetv2/preprocessing/normalization``)."""
    if scheme == "CTNormalization":
        low, high = float(numbers["percentile_00_5"]), float(numbers["percentile_99_5"])
        return Normalisation(
            kind="window", low=low, high=high, mean=float(numbers["mean"]), std=max(float(numbers["std"]), 1e-8)
        )
    if scheme == "ZScoreNormalization":
        return Normalisation(kind="zscore_inside" if is_masked else "zscore_cropped")
    if scheme == "NoNormalization":
        return Normalisation(kind="none")
    if scheme == "RescaleTo01Normalization":
        return Normalisation(kind="percentiles", low=0.0, high=100.0)
    if scheme == "RGBTo01Normalization":
        return Normalisation(kind="window", low=0.0, high=255.0, mean=0.0, std=255.0)
    raise ImportRefused(f"Normalisation {scheme[:60]!r} is none of nnU-Net's own and cannot be imported.")


def _checkpoints(folder: Path, wanted: str | None) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Choose the folds asked for, else all there are; tell which, and how they are averaged."""
    there = _folds(folder)
    if not there:
        raise ImportRefused(f"{folder.name!r} has no fold_*/checkpoint_final.pth.", path=folder)
    names = tuple(there) if wanted is None else tuple(dict.fromkeys(each.strip() for each in wanted.split(",")))
    missing = [name for name in names if name not in there]
    if missing:
        known = ", ".join(f"fold_{name}" for name in there)
        raise ImportRefused(f"There is no fold_{missing[0]} here; there are {known}.", code="not_found", path=folder)
    if len(names) > MOST_MEMBERS:
        raise ImportRefused(
            f"{len(names)} folds are more than a model can hold ({MOST_MEMBERS}); choose some of them.", path=folder
        )
    best = [name for name in names if there[name].name != _CHECKPOINTS[0]]
    notes = [f"The weights of fold_{name} are {there[name].name}; there is no {_CHECKPOINTS[0]}." for name in best]
    return tuple(there[name] for name in names), (*_notes_on_folds(names, len(there)), *notes)


def _folds(folder: Path) -> dict[str, Path]:
    """Return the checkpoint of every fold that has one, by "0", "1", ..., "all"."""
    names = [match[1] for path in folder.iterdir() if (match := _FOLD.fullmatch(path.name))]
    ordered = sorted(names, key=lambda name: (name == "all", int(name) if name != "all" else 0))
    found = {name: _of_fold(folder, f"fold_{name}") for name in ordered}
    return {name: path for name, path in found.items() if path is not None}


def _notes_on_folds(names: tuple[str, ...], count: int) -> tuple[str, ...]:
    if count == 1:
        return ()
    if len(names) == 1:
        return (f"Of {count} folds, fold_{names[0]} alone was taken; nnU-Net averages several.",)
    which = "All" if len(names) == count else f"{len(names)} of {count}"
    return (
        f"{which} folds were taken ({', '.join(names)}): {len(names)} networks, which take {len(names)} times as long.",
        "nnU-Net averages the logits of its folds; here their probabilities are averaged.",
    )


def _of_fold(folder: Path, name: str) -> Path | None:
    found = (inner_file(folder, name, each) for each in _CHECKPOINTS)
    return next((path for path in found if path is not None), None)


def _file_notes(folder: Path) -> tuple[str, ...]:
    if any((folder / name).exists() for name in ("postprocessing.pkl", "crossval_results_folds_0_1_2_3_4")):
        return ("nnU-Net's own post-processing is a pickle; it was not read. Declare it in post_processing.",)
    return ()


def _training(dataset: Mapping[str, Any], dataset_name: str) -> ModelContract:
    """Return the training record where the dataset says its licence."""
    licence = dataset.get("licence", dataset.get("license"))
    if not isinstance(licence, str) or not licence.strip():
        return ModelContract()
    source = one_line(dataset.get("reference", ""), 120)
    name = f"{dataset_name}; {source}" if source else dataset_name
    return ModelContract(training=TrainingRecord(dataset=one_line(name), licence=one_line(licence)))
