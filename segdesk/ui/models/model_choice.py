"""What the predict panel says about a model; without Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segdesk.core.labels import Label
from segdesk.core.progress import Lane, Progress, Task
from segdesk.zoo.catalogue import list_models
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model that can be chosen.

    Parameters
    ----------
    path : Path
        Its folder.
    name : str
        "hippocampus-unet3d@1".
    title : str
        One line.
    facts : str
        Labels, dimensions, channels, Dice.
    spec : ModelSpec
        What ``model.json`` says.
    """

    path: Path
    name: str
    title: str
    facts: str
    spec: ModelSpec

    @property
    def labels(self) -> tuple[Label, ...]:
        """What it draws."""
        return tuple(self.spec.label_table)

    @classmethod
    def of(cls, folder: ModelFolder) -> ModelChoice:
        """Describe a model folder."""
        spec = folder.spec
        labels = ", ".join(label.name for label in spec.labels[:4]) + (" …" if len(spec.labels) > 4 else "")
        parts = [f"Draws {labels}", f"{spec.dimensions}D"]
        if len(spec.channels) > 1:
            parts.append("needs " + " + ".join(spec.channel_names))
        parts.append("untrained weights" if spec.untrained else _dice_text(spec.metrics))
        return cls(folder.path, spec.identity, spec.title, " · ".join(part for part in parts if part), spec)


def find_choices(project_models: Path | None) -> Task[tuple[ModelChoice, ...]]:
    """Return the task that looks for models: the project's, the user's, the shipped ones."""

    def work(report: Progress) -> tuple[ModelChoice, ...]:
        extra = () if project_models is None or not project_models.is_dir() else (project_models,)
        return tuple(ModelChoice.of(folder) for folder in list_models(extra))

    return Task("", Lane.CPU, work)


def _dice_text(metrics: Mapping[str, Any]) -> str:
    """Return the mean Dice of the model's own test, "" when its folder has none."""
    found: Any = metrics
    for key in ("test", "mean", "dice"):
        found = found.get(key) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping) or not isinstance(found.get("mean"), float):
        return ""
    return f"Dice {found['mean']:.3f} on {found.get('n')} test cases"
