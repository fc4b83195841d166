"""What a loaded network has become in this process, and how fast it was."""

from __future__ import annotations

from dataclasses import dataclass, field

from segdesk.nn.engines.runner import Runner


@dataclass(slots=True)
class Shelf:
    """Kept with the network, and forgotten with it.

    Parameters
    ----------
    converted : dict of str to Runner
        By name; converting takes seconds.
    seconds : dict of (str, str) to float
        By runner and device: of a forward pass of one window.
    refused : set of str
        Names of runners that cannot be had of this network, or draw another mask.
    """

    converted: dict[str, Runner] = field(default_factory=dict)
    seconds: dict[tuple[str, str], float] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
