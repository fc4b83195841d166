"""What the model browser tells of a model; without Qt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segdesk.core.labels import Colour
from segdesk.core.progress import Lane, Progress, Task
from segdesk.errors import BadModelFolder
from segdesk.paths import shipped_models, user_models
from segdesk.session import TimeEstimate
from segdesk.zoo.catalogue import scan_models
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.spec import Channel, ModelSpec

MAX_CARD_CHARACTERS = 200_000
"""A card is a page or two; more would only stall the window."""

_NORMALISATIONS = {
    "none": "as it is",
    "zscore": "scaled to mean 0, deviation 1",
    "zscore_nonzero": "scaled to mean 0, deviation 1 of what is not 0",
    "zscore_inside": "scaled to mean 0, deviation 1 of what is not 0, which stays 0",
    "zscore_cropped": "scaled to mean 0, deviation 1 of the box around what is not 0",
}


@dataclass(frozen=True, slots=True)
class Score:
    """A measured Dice: of what, mean, 95 % interval where known, and the number of cases."""

    name: str
    mean: float
    interval: tuple[float, float] | None
    cases: int | None

    @property
    def text(self) -> str:
        """In one line."""
        interval = "" if self.interval is None else f" (95 % interval {self.interval[0]:.3f} to {self.interval[1]:.3f})"
        return f"Dice {self.mean:.3f}{interval}" + ("" if self.cases is None else f", n = {self.cases}")


@dataclass(frozen=True, slots=True)
class ModelPage:
    """All there is to say of a model.

    Parameters
    ----------
    folder : ModelFolder
        The model.
    place : str
        "Shipped with segdesk", "Yours", "This project" or "Elsewhere".
    card : str
        Its card, in Markdown; "" where it has none.
    size_bytes : int
        Of its weights.
    """

    folder: ModelFolder
    place: str
    card: str
    size_bytes: int

    @property
    def spec(self) -> ModelSpec:
        """What ``model.json`` says."""
        return self.folder.spec

    @property
    def labels(self) -> tuple[tuple[str, Colour], ...]:
        """Names with values, and colours."""
        return tuple((f"{label.name} ({label.value})", label.colour_rgb) for label in self.spec.labels)

    @property
    def search_text(self) -> str:
        """What a search looks at."""
        spec = self.spec
        labels = " ".join(label.name for label in spec.labels)
        channels = " ".join(f"{channel.name} {channel.modality}" for channel in spec.channels)
        return f"{spec.identity} {spec.title} {labels} {channels} {spec.dimensions}D".lower()

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """Rows of heading and text."""
        spec = self.spec
        rows = [
            ("Network", self._network_text()),
            ("Expects", "\n".join(channel_text(channel) for channel in spec.channels)),
            ("Voxels", _spacing_text(spec)),
            ("Trained on", self._training_text()),
            ("Licence of the data", spec.training.licence if spec.training else "not said"),
            ("Validation", self._scores_text()),
            ("Limits", limits_of(self.card) or "Its card names none."),
            ("Made from", self._origin_text()),
            ("Weights", f"{self.size_bytes / 1e6:.1f} MB, {self.folder.parameter_count / 1e6:.2f} million parameters"),
            ("Place", f"{self.place}: {self.folder.path.name}"),
        ]
        return tuple(rows)

    @property
    def scores(self) -> tuple[Score, ...]:
        """The model's own test scores by label and their mean; nothing is made of what is not there."""
        return scores_of(self.spec.metrics)

    def _network_text(self) -> str:
        spec = self.spec
        members = f", {spec.members} networks averaged" if spec.members > 1 else ""
        sees = " × ".join(str(n) for n in reversed(spec.patch_kji[-spec.dimensions :]))
        return f"{spec.dimensions}D {spec.network.name}{members}; sees {sees} voxels at once"

    def _training_text(self) -> str:
        training = self.spec.training
        if self.spec.untrained:
            return "Nothing: the weights are random, and what it draws means nothing."
        if training is None:
            return "not said"
        counts = [(len(training.training_cases), "to train"), (len(training.validation_cases), "to choose the state")]
        told = ", ".join(f"{count} cases {use}" for count, use in counts if count)
        return f"{training.dataset}" + (f" ({told})" if told else "")

    def _scores_text(self) -> str:
        lines = [f"{score.name}: {score.text}" for score in self.scores]
        return "\n".join(lines) if lines else "No test score comes with this model."

    def _origin_text(self) -> str:
        spec = self.spec
        if spec.parent is not None:
            return f"fine-tuned from {spec.parent.name}@{spec.parent.version} ({spec.parent.weights_sha256[:12]}…)"
        if spec.imported is not None:
            return f"imported: {spec.imported.format}, {spec.imported.source}"
        return "trained from scratch"


@dataclass(frozen=True, slots=True)
class ModelShelf:
    """All models found, and what is wrong with damaged folders."""

    pages: tuple[ModelPage, ...] = ()
    damaged: tuple[str, ...] = ()

    def matching(self, words: str) -> tuple[ModelPage, ...]:
        """Return the models that hold all words."""
        wanted = words.lower().split()
        return tuple(page for page in self.pages if all(word in page.search_text for word in wanted))


def find_models(project_models: Path | None) -> Task[ModelShelf]:
    """Return the task that reads all models: the project's, the user's, the shipped ones."""

    def work(report: Progress) -> ModelShelf:
        extra = () if project_models is None or not project_models.is_dir() else (project_models,)
        found = scan_models(extra)
        pages = tuple(_page(folder, project_models) for folder in found.models)
        return ModelShelf(pages, tuple(f"{Path(str(p.path)).name}: {p.message}" for p in found.damaged))

    return Task("", Lane.DISK, work)


def verify(folder: ModelFolder) -> Task[str]:
    """Return the task that hashes the weights; its result is "" or what is wrong."""

    def work(report: Progress) -> str:
        try:
            folder.verify()
        except BadModelFolder as error:
            return error.message
        return ""

    return Task("", Lane.DISK, work)


def channel_text(channel: Channel) -> str:
    """Return one line on an input: name, modality, and how its intensities are brought to the network's scale."""
    rule = channel.normalisation
    how = _NORMALISATIONS.get(rule.kind)
    if how is None:
        unit = " %" if rule.kind == "percentiles" else ""
        how = f"clipped to {rule.low:g} … {rule.high:g}{unit}"
    return f"{channel.name} ({channel.modality or 'any modality'}), {how}"


def estimate_text(estimate: TimeEstimate) -> str:
    """Return a time estimate with where it comes from."""
    seconds = estimate.seconds
    shown = f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
    windows = f"{estimate.windows} window{'s' if estimate.windows > 1 else ''}"
    if estimate.runs:
        source = f"from {estimate.runs} earlier run{'s' if estimate.runs > 1 else ''} of these weights here"
    else:
        source = "from one window timed just now; reading and preparing the image come on top"
    device = "CPU" if estimate.device == "cpu" else estimate.device
    return f"About {shown} on {device}: {windows}, {source}."


def limits_of(card: str) -> str:
    """Return the section of a card that is headed "Limits" or "Limitations", "" when there is none."""
    found = re.search(r"(?mis)^#+[ ]*limit(?:s|ations)\b[^\n]*\n(.*?)(?=^#|\Z)", card)
    lines = [] if found is None else [line.strip() for line in found[1].split("\n")]
    paragraphs = [""]
    for line in lines:
        if not line or line.startswith(("- ", "* ")):
            paragraphs.append("")
        paragraphs[-1] = f"{paragraphs[-1]} {line.removeprefix('- ').removeprefix('* ')}".strip()
    # What follows the hash of the weights is no limit; cards end with it.
    return "\n".join(text for text in paragraphs if text and not text.startswith("SHA-256"))


def quiet_headings(card: str) -> str:
    """Return a card whose headings are no larger than those around it."""
    return re.sub(r"(?m)^#{1,2}(?=[ ])", "####", card)


def scores_of(metrics: Mapping[str, Any]) -> tuple[Score, ...]:
    """Return the test scores in a model's metrics, as `segdesk train` writes them."""
    test = metrics.get("test")
    if not isinstance(test, Mapping):
        return ()
    labels = test.get("labels")
    rows = list(labels.values()) if isinstance(labels, Mapping) else []
    found = [_score(str(row.get("name", "")), row.get("dice")) for row in rows if isinstance(row, Mapping)]
    mean = test.get("mean")
    if isinstance(mean, Mapping) and len(found) > 1:
        found.append(_score("Mean over labels", mean.get("dice")))
    return tuple(score for score in found if score is not None)


def _score(name: str, dice: object) -> Score | None:
    if not isinstance(dice, Mapping) or not isinstance(dice.get("mean"), float):
        return None
    ends, cases = dice.get("ci95"), dice.get("n")
    interval = None
    if isinstance(ends, list) and len(ends) == 2 and all(isinstance(x, float) for x in ends):
        interval = ends[0], ends[1]
    return Score(name, dice["mean"], interval, cases if isinstance(cases, int) else None)


def _page(folder: ModelFolder, project_models: Path | None) -> ModelPage:
    places = {shipped_models(): "Shipped with segdesk", user_models(): "Yours"}
    if project_models is not None:
        places[project_models] = "This project"
    try:
        card = folder.card_path.read_text(encoding="utf-8", errors="replace")[:MAX_CARD_CHARACTERS]
        size = folder.weights_path.stat().st_size
    except OSError:
        card, size = "", 0
    return ModelPage(folder, places.get(folder.path.parent, "Elsewhere"), card, size)


def _spacing_text(spec: ModelSpec) -> str:
    if spec.spacing_kji_mm is None:
        spacing = "the image's own"
    else:
        spacing = " × ".join(f"{x:g}" for x in reversed(spec.spacing_kji_mm[-spec.dimensions :])) + " mm"
    axes = f"axes turned to {spec.orientation}" if spec.orientation else "axes as in the image"
    return f"{spacing} (resampled for the model, the mask comes back on the image's grid); {axes}"
