"""What a training run has said so far: curves, log, result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from segdesk.ui.models.training_events import DicePoint, GateResult, LossPoint, Told, parse_event


@dataclass(slots=True)
class TrainingStory:
    """Collects the events of one run; they are kept in the order in which they came."""

    losses: list[LossPoint] = field(default_factory=list)
    dice: list[DicePoint] = field(default_factory=list)
    log: list[Told] = field(default_factory=list)
    result: GateResult | None = None

    def add(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Take new events; a line that repeats the one before is told once."""
        for raw in events:
            for event in parse_event(raw):
                if isinstance(event, LossPoint):
                    self.losses.append(event)
                elif isinstance(event, DicePoint):
                    self.dice.append(event)
                elif isinstance(event, GateResult):
                    self.result = event
                elif not self.log or self.log[-1] != event:
                    self.log.append(event)

    @property
    def last_loss(self) -> LossPoint | None:
        """Where the run stands, None before the first step."""
        return self.losses[-1] if self.losses else None

    @property
    def best_dice(self) -> DicePoint | None:
        """The best validation so far, None before the first."""
        return max(self.dice, key=lambda point: point.dice, default=None)

    def label_names(self) -> tuple[str, ...]:
        """Return the labels that validations report, in their order."""
        return tuple(dict.fromkeys(name for point in self.dice for name in point.by_label))
