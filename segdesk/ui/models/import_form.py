"""What a person declares about a foreign model, as the texts of a form; without Qt."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from segdesk.core.labels import PALETTE
from segdesk.errors import ImportRefused, UsageError
from segdesk.zoo.foreign.contract import ModelContract, contract_of
from segdesk.zoo.spec import Channel, ImportRecord, LabelSpec

OWN = "own"
"""Voxel size or axes of the image itself; they must be chosen like any other."""

_FORM_FIELDS = frozenset(
    {
        "name", "title", "dimensions", "network", "channels", "labels", "spacing_kji_mm", "patch_kji", "orientation",
        "axis_order", "training",
    }
)  # fmt: skip

_PROBE = ImportRecord(format="state-dict", source="", source_sha256="0" * 64)
_WINDOW_NUMBERS = ("low", "high", "mean", "std")


@dataclass(frozen=True, slots=True)
class ImportForm:
    """The fields as they are typed.

    Parameters
    ----------
    name, title : str
        Of the model.
    dimensions : str
        "2" or "3", "" while nothing is chosen.
    network, numbers : str
        Allow-listed name; its parameters as JSON.
    channels : str
        One a line: name, colon, normalisation and its numbers ("ct: window -57 164 -57 221").
    labels : str
        One a line in the order of the network's outputs, without background: value and name ("1 spleen").
    spacing, patch : str
        Three numbers (k, j, i); a spacing may also be `OWN`.
    orientation : str
        "RAS", "LPS" or `OWN`, "" while nothing is chosen.
    axis_order : str
        "kji", "ijk", "" while nothing is chosen.
    dataset, licence : str
        What the weights were trained on.
    found : ModelContract
        What the files said beyond these fields.
    """

    name: str = ""
    title: str = ""
    dimensions: str = ""
    network: str = ""
    numbers: str = "{}"
    channels: str = ""
    labels: str = ""
    spacing: str = ""
    patch: str = ""
    orientation: str = ""
    axis_order: str = ""
    dataset: str = ""
    licence: str = ""
    found: ModelContract = field(default_factory=ModelContract)

    @classmethod
    def of(cls, found: ModelContract) -> ImportForm:
        """Fill in what the files say."""
        network, training = found.network, found.training
        return cls(
            name=found.name or "",
            title=found.title or "",
            dimensions=str(found.dimensions or ""),
            network="" if network is None else network.name,
            numbers="{}" if network is None else json.dumps(network.parameters),
            channels="\n".join(_channel_line(channel) for channel in found.channels or ()),
            labels="\n".join(f"{label.value} {label.name}" for label in found.labels or ()),
            spacing=_numbers_text(found.spacing_kji_mm) or _own(found, "spacing_kji_mm"),
            patch=_numbers_text(found.patch_kji),
            orientation=found.orientation or _own(found, "orientation"),
            axis_order=found.axis_order or "",
            dataset="" if training is None else training.dataset,
            licence="" if training is None else training.licence,
            found=found,
        )

    def changed(self, **fields: str) -> ImportForm:
        """Return the form with other texts in some fields."""
        return replace(self, **fields)  # type: ignore[arg-type]

    @property
    def contract(self) -> ModelContract:
        """What is declared: the fields, and what was found beyond them.

        Raises
        ------
        UsageError
            If a field does not say what it should.
        """
        plain: dict[str, Any] = {
            "channels": self._channels() or None,
            "labels": self._labels() or None,
            "patch_kji": _numbers(self.patch, "Window", int) if self.patch.strip() else None,
            "axis_order": self.axis_order or None,
            "dimensions": int(self.dimensions) if self.dimensions else None,
            "name": _name(self.name.strip()) or None,
            "title": self.title.strip() or None,
        }
        if self.spacing.strip():
            is_own = self.spacing.strip() == OWN
            plain["spacing_kji_mm"] = None if is_own else _numbers(self.spacing, "Voxel size", float)
        if self.orientation:
            plain["orientation"] = None if self.orientation == OWN else self.orientation
        if self.network:
            plain["network"] = {"name": self.network, "parameters": _json(self.numbers)}
        if self.dataset.strip() and self.licence.strip():
            plain["training"] = {"dataset": self.dataset.strip(), "licence": self.licence.strip()}
        kept = {name: getattr(self.found, name) for name in self.found.model_fields_set - _FORM_FIELDS}
        return ModelContract(**kept).completed_by(contract_of(plain, "What is declared"))

    @property
    def problem(self) -> str:
        """Why the model cannot be imported as it stands, "" when it can."""
        return self._mistake() or self.gap

    @property
    def gap(self) -> str:
        """What is still to be said, "" when all is, or while something said makes no sense."""
        try:
            return next((FIELD_HELP[name] for name in self.contract.missing), "")
        except UsageError:
            return ""

    def _mistake(self) -> str:
        """Return what is wrong with what has been said, "" when nothing."""
        try:
            contract = self.contract
            if not contract.missing:
                contract.to_spec(_PROBE)
        except (UsageError, ImportRefused) as exc:
            return exc.message
        return ""

    def _channels(self) -> list[dict[str, Any]]:
        modalities = {channel.name: channel.modality for channel in self.found.channels or ()}
        made = [_channel(line) for line in _lines(self.channels)]
        return [{**each, "modality": modalities.get(each["name"], "")} for each in made]

    def _labels(self) -> list[dict[str, Any]]:
        known = {label.value: label for label in self.found.labels or ()}
        return [_label(line, known) for line in _lines(self.labels)]


FIELD_HELP = {
    "name": "Give the model a name.",
    "dimensions": "Say whether the network is 2D or 3D.",
    "network": "Choose the network these weights belong to.",
    "channels": "Name the channels, one a line, each with its normalisation: “ct: window -57 164 -57 221”.",
    "labels": "Name the labels in the order of the network's outputs, without background: “1 spleen”.",
    "spacing_kji_mm": "Give the voxel size the network was trained on, or write “own” for the image's.",
    "patch_kji": "Give the window the network takes, three whole numbers (k j i).",
    "orientation": "Choose the axes the network was trained on.",
    "axis_order": "Say in which order the network's arrays have their axes; MONAI's are i, j, k.",
    "training": "Say what the weights were trained on, and under which terms they may be used.",
}
"""What is asked for, by field."""


def suggested_name(source: Path) -> str:
    """Return a name made of that of a file or folder, "" where nothing of it can be used."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", source.stem).strip("-._")[:64]


def _name(text: str) -> str:
    if re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63})?", text) is None:
        raise UsageError("A name takes letters, digits, dots, dashes and underscores, at most 64, and no blanks.")
    return text


def _own(found: ModelContract, name: str) -> str:
    """Return `OWN` where the files say that it is the image's own, "" where they say nothing."""
    return OWN if name in found.model_fields_set else ""


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _channel_line(channel: Channel) -> str:
    how = channel.normalisation
    numbers = [f"{value:.10g}" for name in _WINDOW_NUMBERS if (value := getattr(how, name)) is not None]
    return f"{channel.name}: {' '.join([how.kind, *numbers])}"


def _channel(line: str) -> dict[str, Any]:
    name, colon, rest = line.partition(":")
    words = rest.split()
    if not colon or not words:
        raise UsageError(f"“{line[:40]}” is no channel; write its name, a colon, and its normalisation.")
    numbers = [_number(word, float, f"Channel {name.strip()[:40]}") for word in words[1:]]
    if len(numbers) > len(_WINDOW_NUMBERS):
        raise UsageError(f"Channel {name.strip()[:40]} has more numbers than low, high, mean and std.")
    how = {"kind": words[0], **dict(zip(_WINDOW_NUMBERS, numbers, strict=False))}
    return {"name": name.strip(), "normalisation": how}


def _label(line: str, known: dict[int, LabelSpec]) -> dict[str, Any]:
    number, _, name = line.partition(" ")
    value = _number(number, int, "A label")
    before = known.get(value)
    colour = PALETTE[(value - 1) % len(PALETTE)] if before is None else before.colour_rgb
    made: dict[str, Any] = {"value": value, "name": name.strip() or f"Label {value}", "colour_rgb": list(colour)}
    if before is not None and before.code is not None:
        made["code"] = before.code.model_dump()
    return made


def _numbers(text: str, what: str, kind: type[float] | type[int]) -> list[float]:
    numbers = [_number(word, kind, what) for word in text.replace("x", " ").replace("×", " ").split()]
    if len(numbers) != 3:
        raise UsageError(f"{what} takes three numbers, in the order k, j, i.")
    return numbers


def _number(word: str, kind: type[float] | type[int], what: str) -> Any:
    try:
        return kind(word)
    except ValueError:
        raise UsageError(f"{what}: “{word[:20]}” is no {'whole ' if kind is int else ''}number.") from None


def _numbers_text(numbers: tuple[float, ...] | None) -> str:
    return "" if numbers is None else " ".join(f"{number:.10g}" for number in numbers)


def _json(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except (ValueError, RecursionError):
        raise UsageError('The network\'s numbers are no JSON; write for example {"widths": [32, 64, 128]}.') from None
