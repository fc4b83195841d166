"""What a bundle's ``inference.json`` does before and after its network, as far as literals say it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from segdesk.errors import ImportRefused
from segdesk.zoo.foreign.literals import is_expression, is_literal, table_at
from segdesk.zoo.spec import Normalisation, PostRule

_NO_EFFECT = frozenset(
    {
        "LoadImaged", "EnsureChannelFirstd", "AddChanneld", "AsChannelFirstd", "EnsureTyped", "CastToTyped",
        "ToTensord", "CropForegroundd", "SpatialPadd", "DivisiblePadd",
    }
)  # fmt: skip
"""Steps that leave intensities and spacing as they are."""

_AFTER = frozenset({"Activationsd", "AsDiscreted", "Invertd", "SaveImaged", "EnsureTyped", "ToTensord", "CopyItemsd"})
_FAR = 1e9


@dataclass(slots=True)
class Steps:
    """The known part of a bundle's preparation, in our order of axes.

    Parameters
    ----------
    patch_kji : tuple of int, optional
        Of the sliding window.
    space : dict
        ``spacing_kji_mm`` and ``orientation``, each only where it is known.
    post_processing : tuple of PostRule
        Largest components.
    notes : tuple of str
        What was not read.
    """

    patch_kji: tuple[int, int, int] | None = None
    space: dict[str, Any] = field(default_factory=dict)
    post_processing: tuple[PostRule, ...] = ()
    notes: tuple[str, ...] = ()
    _normalisation: Normalisation | None = None
    _mixes_channels: bool = False

    def normalisation_of(self, channels: int) -> Normalisation | None:
        """Return how every channel is normalised; None where it is not known or mixes channels."""
        return None if channels > 1 and self._mixes_channels else self._normalisation


def read_steps(inference: Mapping[str, Any], dimensions: int) -> Steps:
    """Read preparation, window and post-processing of a bundle.

    Parameters
    ----------
    inference : mapping
        The parsed ``inference.json``; {} where there is none: then nothing is known.
    dimensions : int
        Of the network.

    Raises
    ------
    ImportRefused
        If the answer is one sigmoid per label, which no segdesk model can express.
    """
    steps = Steps(patch_kji=_patch(inference, dimensions))
    before = _transforms(inference, "preprocessing")
    if before is not None:
        _Reader(steps, dimensions).read(before)
    after = _transforms(inference, "postprocessing") or []
    _check_answer(after)
    steps.post_processing = _largest_components(after)
    left = [name for each in after if (name := _name(each)) not in _AFTER | {"KeepLargestConnectedComponentd"}]
    if left:
        steps.notes += (f"Steps after the network that were not taken over: {', '.join(left)[:200]}.",)
    expressions = _count_expressions(inference)
    if expressions:
        steps.notes += (f"{expressions} expressions of inference.json were not evaluated.",)
    return steps


class _Reader:
    """Goes through the steps before the network; what is not known makes its part unknown."""

    def __init__(self, steps: Steps, dimensions: int) -> None:
        self._steps = steps
        self._dimensions = dimensions
        self._intensity: list[tuple[Normalisation | None, bool]] = []
        self._clipped: tuple[float, float] | None = None
        self._table: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "Orientationd": self._orientation,
            "Spacingd": self._spacing,
            "ScaleIntensityRanged": self._scale_range,
            "NormalizeIntensityd": self._normalise,
            "ScaleIntensityd": self._scale,
            "ScaleIntensityRangePercentilesd": self._percentiles,
            "ClipIntensityPercentilesd": self._clip,
        }

    def read(self, transforms: list[Any]) -> None:
        """Fill in what the steps say."""
        steps = self._steps
        steps.space = {"orientation": None, "spacing_kji_mm": None}
        unknown: list[str] = []
        for each in transforms:
            name = _name(each)
            if name in _NO_EFFECT or (isinstance(each, Mapping) and each.get("_disabled_") is True):
                continue
            if name in self._table and is_literal(each):
                self._table[name](each)
            else:
                unknown.append(name)
        if unknown:
            # An unknown step may change anything: nothing that was read is certain any more.
            steps.space, self._intensity = {}, [(None, False)]
            steps.notes += (f"Steps before the network that are not known here: {', '.join(unknown)[:200]}.",)
        if self._clipped is not None:
            # Clipped, and then not brought to mean 0: no normalisation of ours does that.
            self._intensity = [(None, False)]
        if not self._intensity:
            self._intensity = [(Normalisation(kind="none"), False)]
        if len(self._intensity) == 1:
            steps._normalisation, steps._mixes_channels = self._intensity[0]
            if steps._normalisation is not None and steps.space.get("spacing_kji_mm") is not None:
                steps.notes += ("The bundle resamples before it normalises; here it is the other way round.",)

    def _orientation(self, step: Mapping[str, Any]) -> None:
        if step.get("axcodes") in ("RAS", "LPS"):
            self._steps.space["orientation"] = step["axcodes"]
        else:
            self._steps.space.pop("orientation", None)

    def _spacing(self, step: Mapping[str, Any]) -> None:
        pixdim = step.get("pixdim")
        values = [pixdim] * 3 if isinstance(pixdim, int | float) else pixdim
        if isinstance(values, list) and len(values) == 2 == self._dimensions:
            values = [*values, 1.0]
        if isinstance(values, list) and len(values) == 3 and all(_is_positive(each) for each in values):
            self._steps.space["spacing_kji_mm"] = tuple(float(each) for each in reversed(values))
        else:
            self._steps.space.pop("spacing_kji_mm", None)

    def _scale_range(self, step: Mapping[str, Any]) -> None:
        low, high, to_low, to_high = (_number(step, name) for name in ("a_min", "a_max", "b_min", "b_max"))
        if low is None or high is None or to_low is None or to_high is None or high <= low or to_high <= to_low:
            self._intensity.append((None, False))
            return
        std = (high - low) / (to_high - to_low)
        clips = step.get("clip", False) is True
        how = Normalisation(
            kind="window",
            low=low if clips else -_FAR,
            high=high if clips else _FAR,
            mean=low - to_low * std,
            std=std,
        )
        self._intensity.append((how, False))

    def _normalise(self, step: Mapping[str, Any]) -> None:
        mean, std = _number(step, "subtrahend"), _number(step, "divisor")
        is_fixed = step.get("subtrahend") is not None or step.get("divisor") is not None
        mixes = step.get("channel_wise", False) is not True
        nonzero = step.get("nonzero", False) is True
        if not is_fixed:
            low, high = self._clipped or (None, None)
            how = Normalisation(kind="zscore_inside" if nonzero else "zscore", low=low, high=high)
            # MONAI takes percentiles of all voxels, also where it takes the mean of the non-zero ones only.
            self._intensity.append((None if nonzero and self._clipped else how, mixes))
            self._clipped = None
        elif mean is not None and std is not None and std > 0 and not nonzero:
            how = Normalisation(kind="window", low=-_FAR, high=_FAR, mean=mean, std=std)
            self._intensity.append((how, False))
        else:
            self._intensity.append((None, False))

    def _clip(self, step: Mapping[str, Any]) -> None:
        low, high = _number(step, "lower"), _number(step, "upper")
        is_plain = step.get("sharpness_factor") is None and step.get("channel_wise") is True
        if low is not None and high is not None and 0 <= low < high <= 100 and is_plain:
            self._clipped = low, high
        else:
            self._intensity.append((None, False))

    def _scale(self, step: Mapping[str, Any]) -> None:
        is_unit = step.get("minv", 0.0) == 0 and step.get("maxv", 1.0) == 1 and step.get("factor") is None
        how = Normalisation(kind="percentiles", low=0.0, high=100.0) if is_unit else None
        self._intensity.append((how, step.get("channel_wise", False) is not True))

    def _percentiles(self, step: Mapping[str, Any]) -> None:
        low, high = _number(step, "lower"), _number(step, "upper")
        is_unit = (step.get("b_min"), step.get("b_max")) == (0, 1) and step.get("clip") is True
        how = None
        if is_unit and not step.get("relative") and low is not None and high is not None and 0 <= low < high <= 100:
            how = Normalisation(kind="percentiles", low=low, high=high)
        self._intensity.append((how, step.get("channel_wise", False) is not True))


def _transforms(inference: Mapping[str, Any], name: str) -> list[Any] | None:
    """Return a list of steps; None where it is not plainly there."""
    steps = (table_at(inference, name) or {}).get("transforms", inference.get(f"{name}_transforms"))
    return list(steps) if isinstance(steps, list) else None


def _name(step: Any) -> str:
    target = step.get("_target_") if isinstance(step, Mapping) else step
    return str(target).removeprefix("monai.transforms.")[:60]


def _patch(inference: Mapping[str, Any], dimensions: int) -> tuple[int, int, int] | None:
    roi = (table_at(inference, "inferer") or {}).get("roi_size")
    if not isinstance(roi, list) or len(roi) != dimensions or not all(type(n) is int and n > 0 for n in roi):
        return None
    if dimensions == 2:
        return 1, roi[1], roi[0]
    return roi[2], roi[1], roi[0]


def _check_answer(after: list[Any]) -> None:
    for step in after:
        if _name(step) == "Activationsd" and isinstance(step, Mapping) and step.get("sigmoid") is True:
            raise ImportRefused(
                "This bundle answers yes or no for each label by itself (sigmoid); segdesk's models draw labels that "
                "exclude each other, so it cannot be imported exactly."
            )


def _largest_components(after: list[Any]) -> tuple[PostRule, ...]:
    rules: dict[int, PostRule] = {}
    for step in after:
        labels = step.get("applied_labels") if isinstance(step, Mapping) else None
        if _name(step) == "KeepLargestConnectedComponentd" and isinstance(labels, list):
            rules |= {n: PostRule(label=n, largest_component=True) for n in labels if type(n) is int and n > 0}
    return tuple(rules.values())


def _count_expressions(value: Any) -> int:
    if isinstance(value, Mapping):
        return sum(_count_expressions(each) for each in value.values())
    if isinstance(value, list):
        return sum(_count_expressions(each) for each in value)
    return int(is_expression(value))


def _number(step: Mapping[str, Any], name: str) -> float | None:
    value = step.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _FAR
    return float(value) if is_number and value is not None else None


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1000
