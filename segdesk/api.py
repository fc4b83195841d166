"""What scripts call and no other package offers as it is."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from segdesk.core.box import Box
from segdesk.core.prediction import EngineChoice, Precision, Prediction, PredictOptions, Uncertainty, ViewChoice
from segdesk.core.progress import Progress, silent
from segdesk.core.volume import Volume
from segdesk.errors import ModelError, UsageError
from segdesk.zoo.catalogue import find_model

T = TypeVar("T", bound=StrEnum)


def predict(
    volume: Volume | Mapping[str, Volume],
    model: str | Path,
    device: str = "auto",
    report: Progress | None = None,
    *,
    overlap: float = 0.5,
    roi: Box | None = None,
    flips: bool = False,
    probabilities: bool = False,
    uncertainty: Uncertainty | str | None = None,
    views: ViewChoice | str = ViewChoice.SLICES,
    engine: EngineChoice | str = EngineChoice.AUTO,
    precision: Precision | str = Precision.AUTO,
) -> Prediction:
    """Let a model draft a mask.

    Parameters
    ----------
    volume : Volume or mapping of str to Volume
        One image, or one per channel name, all on one grid.
    model : str or Path
        Name ("hippocampus-unet3d"), "name@version", or model folder.
    device : str
        "auto", "cpu", "cuda" or "cuda:N".
    report : Progress, optional
        Called between windows; may raise `segdesk.core.progress.Cancelled`.
    overlap, roi, flips, probabilities, uncertainty, views, engine, precision
        As in `PredictOptions`.

    Returns
    -------
    Prediction
        ``.labels`` on the grid of the image, ``.manifest``, and ``.probabilities`` and
        ``.uncertainty`` on request.

    Raises
    ------
    ModelError
        If the model is damaged, or (``wrong_channels``) needs other channels.

    Examples
    --------
    >>> volume = segdesk.read_volume("scan.nii.gz")  # doctest: +SKIP
    >>> segdesk.predict(volume, model="hippocampus-unet3d").labels  # doctest: +SKIP
    """
    from segdesk.nn.predict import predict as run_network

    folder = find_model(model)
    folder.verify()
    channels = _channels(volume, folder.spec.channel_names)
    options = PredictOptions(
        device,
        overlap,
        roi,
        flips,
        probabilities,
        None if uncertainty is None else _one_of(Uncertainty, uncertainty),
        _one_of(EngineChoice, engine),
        _one_of(Precision, precision),
        _one_of(ViewChoice, views),
    )
    return run_network(channels, folder.path, options, report or silent)


def _one_of(choices: type[T], name: str) -> T:
    try:
        return choices(name)
    except ValueError:
        raise UsageError(f"There is no {name!r}; use {' or '.join(choices)}.") from None


def _channels(volume: Volume | Mapping[str, Volume], names: tuple[str, ...]) -> Mapping[str, Volume]:
    if not isinstance(volume, Volume):
        return volume
    if len(names) > 1:
        message = f"The model reads {', '.join(names)}; give a dict with a volume for each."
        raise ModelError(message, code="wrong_channels")
    return {names[0]: volume}
