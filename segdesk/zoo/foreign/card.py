"""The model card of an imported model: what is known of it, and what is not."""

from __future__ import annotations

from segdesk.zoo.spec import Channel, ModelSpec

_FORMATS = {
    "monai-bundle": "a MONAI bundle",
    "nnunet-v2": "a results folder of nnU-Net v2",
    "state-dict": "a file of weights; everything else was declared by the person who imported it",
}


def card_of(spec: ModelSpec) -> str:
    """Return the card, Markdown; the spec must have its import record and training record."""
    if spec.imported is None or spec.training is None:
        raise ValueError("the card of an imported model needs its import and training records")
    labels = "\n".join(f"- {label.value}: {_plain(label.name)}" for label in spec.labels)
    channels = "\n".join(f"- {channel.name}: {_normalised(channel)}" for channel in spec.channels)
    notes = "\n".join(f"- {_plain(note)}" for note in spec.imported.notes)
    return f"""# {_plain(spec.title)}

For research use only; not a medical device.

Imported from {_FORMATS[spec.imported.format]}. It was not trained, tuned or scored by segdesk.

## Data

{_plain(spec.training.dataset)}. Terms: {_plain(spec.training.licence)}.

Which cases the weights have seen is not known here: a score on data that may be among them is no evaluation.

## Labels

{labels}

## Input

{channels}

Voxels: {_spacing(spec)}. Window: {_times(spec.patch_kji)} (k, j, i). Axes: {spec.orientation or "the image's own"}.

## What differs from how its makers run it

{notes or "- Nothing that is known."}

## Origin

{_plain(spec.imported.source)}, SHA-256 `{spec.imported.source_sha256}`; network {spec.network.name}.
"""


def _normalised(channel: Channel) -> str:
    how = channel.normalisation
    numbers = [
        f"{name} {value:g}" for name in ("low", "high", "mean", "std") if (value := getattr(how, name)) is not None
    ]
    return f"{how.kind} ({', '.join(numbers)})" if numbers else how.kind


def _spacing(spec: ModelSpec) -> str:
    return "the image's own" if spec.spacing_kji_mm is None else f"{_times(spec.spacing_kji_mm)} mm (k, j, i)"


def _times(numbers: tuple[float, ...]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is: names come from strangers."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>#|!" else c for c in text)
