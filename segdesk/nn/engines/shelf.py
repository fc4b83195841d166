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
    agreement : dict of str to float
        By runner: part of a window's voxels that get torch's class; 0 where the network cannot be had in it.
    """

    converted: dict[str, Runner] = field(default_factory=dict)
    seconds: dict[tuple[str, str], float] = field(default_factory=dict)
    agreement: dict[str, float] = field(default_factory=dict)
