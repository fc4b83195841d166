"""Networks that were trained on arrays with other axes than ours.

A network whose input axes are permuted answers the same, permuted, when the axes of its
kernels and strides are permuted as well. That is how foreign weights are brought to
(k, j, i): once, on import, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from segdesk.errors import ImportRefused
from segdesk.zoo.spec import NetworkSpec, Parameter

T = TypeVar("T")

Axes = tuple[int, ...]
"""``axes[a]`` is our axis, 0 for k (j in 2D), that is axis a of the foreign array."""

_PER_AXIS = {"kernel_size", "up_kernel_size", "kernel_sizes", "strides"}
_FLAT_PER_AXIS = {"unet": {"kernel_size", "up_kernel_size"}}
"""Parameters whose flat list has one number per axis; elsewhere a flat list has one per stage."""


def as_ours(axes: Axes) -> Axes:
    """Return the inverse permutation: ``result[b]`` is the foreign axis that is our axis b."""
    return tuple(axes.index(b) for b in range(len(axes)))


def to_ours(values: Sequence[T], axes: Axes) -> tuple[T, ...]:
    """Return one value per foreign axis in the order of our axes."""
    return tuple(values[a] for a in as_ours(axes))


def to_foreign(values: Sequence[T], axes: Axes) -> tuple[T, ...]:
    """Return one value per axis of ours in the order of the foreign axes."""
    return tuple(values[b] for b in axes)


def network_in_our_axes(network: NetworkSpec, axes: Axes) -> NetworkSpec:
    """Return a network whose numbers per axis are in the order of our axes.

    Raises
    ------
    ImportRefused
        If the network treats its axes in a way that no permutation undoes.
    """
    if axes == tuple(range(len(axes))):
        return network
    if network.parameters.get("upsample") == "pixelshuffle":
        raise ImportRefused("The network shuffles pixels into axes of another order than ours; it cannot be imported.")
    numbers: dict[str, Parameter] = {
        name: _reordered(value, axes, flat=name in _FLAT_PER_AXIS.get(network.name, ())) if name in _PER_AXIS else value
        for name, value in network.parameters.items()
    }
    return NetworkSpec(name=network.name, parameters=numbers)


def _reordered(value: Any, axes: Axes, *, flat: bool) -> Any:
    if not isinstance(value, list):
        return value
    if flat:
        return list(to_ours(value, axes)) if len(value) == len(axes) else value
    return [_reordered(each, axes, flat=True) for each in value]
