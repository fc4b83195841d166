"""Fit a data set, a recipe and a network's freedom to the model that is taught further."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import nn

from segdesk.errors import UsageError
from segdesk.nn.dataset import Dataset, bad_dataset
from segdesk.nn.networks.ensemble import members_of
from segdesk.nn.recipe import Recipe, RecipeLabel
from segdesk.nn.recipe_file import read_recipe
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.spec import ModelSpec

RECIPE_NAME = "recipe.toml"

FEW_PATIENTS, SOME_PATIENTS = 5, 20
"""Below the first the whole encoder is frozen, below the second its finer half.

After Tajbakhsh et al., IEEE TMI 35:1299, 2016: the fewer the cases, the fewer layers are tuned.
"""

_TUNING_RATE = 0.25
"""Learning rate of fine-tuning as a part of that of training."""

_TUNING_EMA = 0.99


def adapt_dataset(dataset: Dataset, spec: ModelSpec) -> Dataset:
    """Return the data set with the model's channels and labels; values match by number.

    Raises
    ------
    SegdeskError
        If channels or labels are not the model's (code ``bad_dataset``).
    """
    channels = spec.channel_names
    order = list(range(len(channels)))
    if len(channels) == 1 == len(dataset.channels):
        pass
    elif set(channels) <= set(dataset.channels):
        order = [dataset.channels.index(name) for name in channels]
    else:
        raise bad_dataset(
            f"The model needs the channels {', '.join(channels)}; the data have {', '.join(dataset.channels)}.",
            dataset.root,
        )
    theirs, ours = {label.value for label in dataset.labels}, set(spec.label_values[1:])
    if theirs != ours:
        difference = ", ".join(str(value) for value in sorted(theirs ^ ours))
        raise bad_dataset(
            f"The labels of the data and of the model must be the same; they differ in {difference}. "
            "A label that is not declared would be taught away; train a new model for other labels.",
            dataset.root,
        )
    sources = {label.value: label.source for label in dataset.labels}
    labels = tuple(RecipeLabel(each.value, each.name, sources[each.value]) for each in spec.labels)
    cases = tuple(replace(case, images=tuple(case.images[n] for n in order)) for case in dataset.cases)
    return replace(dataset, channels=channels, labels=labels, cases=cases)


def tuning_recipe(path: Path | None, base: ModelFolder) -> Recipe:
    """Return the recipe of a fine-tuning: the one given, else the base's own with a smaller learning rate.

    Raises
    ------
    UsageError
        If the recipe given cannot be read, or asks for batch norm.
    """
    if path is not None:
        recipe = read_recipe(path)
        if recipe.training.batch_norm:
            raise UsageError(
                f"Recipe {path.name}: batch_norm is for networks trained from the start; leave it out to fine-tune.",
                path=path,
            )
        return recipe
    own = base.path / RECIPE_NAME
    recipe = read_recipe(own) if own.is_file() else Recipe()
    numbers = recipe.training
    gentle = replace(
        numbers,
        learning_rate=numbers.learning_rate * _TUNING_RATE,
        ema=min(numbers.ema, _TUNING_EMA),
        # A trained network has its scale already; a new norm would start from another one.
        batch_norm=False,
    )
    return replace(recipe, layout=None, training=gentle)


def freeze_for(network: nn.Module, patients: int) -> str:
    """Freeze encoder stages by the number of training patients; say what was done in one sentence."""
    who = f"{patients} training patient{'' if patients == 1 else 's'}"
    network.requires_grad_(True)
    encoders = [_encoder(member) for member in members_of(network)]
    if patients >= SOME_PATIENTS or not all(encoders):
        return f"All of the network is trained ({who})."
    total = len(encoders[0])
    count = total if patients < FEW_PATIENTS else total // 2
    for stages in encoders:
        for stage in stages[:count]:
            stage.requires_grad_(False)
    return f"{count} of {total} encoder stages are frozen ({who})."


def _encoder(network: nn.Module) -> list[nn.Module]:
    """Return the stages on the way down; none where the network does not tell."""
    stages = getattr(network, "encoder", None) or getattr(network, "down", None)
    return list(stages) if isinstance(stages, nn.ModuleList) else []
