"""Which images of a case a model takes: one rule for running it, judging whether it fits, and knowing its results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from segdesk.zoo.spec import ModelSpec

T = TypeVar("T")


def chosen_channels(spec: ModelSpec, channels: Mapping[str, T]) -> dict[str, T] | None:
    """Return what a model takes of named channels, by its names and in its order; None where one is missing.

    A model of one channel takes the only image there is, whatever its name; otherwise
    names must match, and further channels are ignored.
    """
    names = spec.channel_names
    if len(names) == 1 and len(channels) == 1:
        return {names[0]: next(iter(channels.values()))}
    return {name: channels[name] for name in names} if set(names) <= set(channels) else None
