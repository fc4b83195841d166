"""Requests to the inference child: what is sent, which blocks the answer fills, and how it is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Generic, TypeVar, cast

import numpy as np

from segdesk.core.explanation import ExplainOptions, Explanation
from segdesk.core.inside import Inside, InsideOptions, Layer, WindowCost
from segdesk.core.labels import LabelArray, LabelMap
from segdesk.core.prediction import Prediction, PredictOptions
from segdesk.core.provenance import Origin, OriginKind
from segdesk.core.volume import Volume
from segdesk.workers.messages import (
    Message,
    explain_options_to_json,
    inside_options_to_json,
    options_to_json,
    volume_to_json,
)
from segdesk.workers.shared_array import ArrayRef, OwnedBlocks
from segdesk.zoo.model_folder import ModelFolder

T = TypeVar("T")

INSIDE_FLOATS = 1 << 23
"""Room for maps and for filters, each: 64 maps of 256 x 256 take half of it."""


class Request(ABC, Generic[T]):
    """One request on its way.

    Parameters
    ----------
    operation : str
        What is asked for.
    folder : ModelFolder
        The model.
    channels : mapping of str to Volume
        Copied into blocks; those the model does not name stay here.
    blocks : OwnedBlocks
        Of this request.
    """

    def __init__(
        self, operation: str, folder: ModelFolder, channels: Mapping[str, Volume], blocks: OwnedBlocks
    ) -> None:
        self._folder, self._blocks = folder, blocks
        self._grid = next(iter(channels.values())).geometry
        names = folder.spec.channel_names
        wanted = {name: channels[name] for name in names} if set(names) <= set(channels) else channels
        self.message: Message = {
            "op": operation,
            "model": str(folder.path.resolve()),
            "channels": {name: volume_to_json(volume, blocks.share(volume.array)) for name, volume in wanted.items()},
        }

    @abstractmethod
    def result(self, answer: Message) -> T:
        """Return what the answer and the blocks hold."""


class PredictRequest(Request[Prediction]):
    """Labels, and maps where they are asked for."""

    def __init__(
        self, folder: ModelFolder, channels: Mapping[str, Volume], options: PredictOptions, blocks: OwnedBlocks
    ) -> None:
        super().__init__("predict", folder, channels, blocks)
        values, shape = folder.spec.label_values, self._grid.shape_kji
        self._labels = blocks.reserve(shape, np.uint8 if values[-1] <= 255 else np.uint16)
        self._probabilities = blocks.reserve((len(values), *shape), np.float32) if options.probabilities else None
        self._uncertainty = blocks.reserve(shape, np.float32) if options.uncertainty else None
        self.message |= {
            "options": options_to_json(options),
            "labels": self._labels.to_json(),
            "probabilities": None if self._probabilities is None else self._probabilities.to_json(),
            "uncertainty": None if self._uncertainty is None else self._uncertainty.to_json(),
        }

    def result(self, answer: Message) -> Prediction:
        """Return the prediction."""
        labels = cast(LabelArray, self._blocks.take(self._labels))
        origin = Origin(
            OriginKind.MODEL,
            answer["origin"]["author"],
            parameters=answer["origin"]["parameters"],
            weights_sha256=answer["origin"]["weights_sha256"],
            created=datetime.fromisoformat(answer["origin"]["created"]),
        )
        probabilities = None if self._probabilities is None else self._blocks.take(self._probabilities)
        uncertainty = None if self._uncertainty is None else self._blocks.take(self._uncertainty)
        label_map = LabelMap((labels,), self._grid, self._folder.spec.label_table, origin)
        return Prediction(label_map, answer["manifest"], probabilities, uncertainty)


class ExplainRequest(Request[Explanation]):
    """A heat map."""

    def __init__(
        self, folder: ModelFolder, channels: Mapping[str, Volume], options: ExplainOptions, blocks: OwnedBlocks
    ) -> None:
        super().__init__("explain", folder, channels, blocks)
        self._heat = blocks.reserve(self._grid.shape_kji, np.float32)
        self.message |= {"options": explain_options_to_json(options), "heat": self._heat.to_json()}

    def result(self, answer: Message) -> Explanation:
        """Return the explanation."""
        return Explanation(self._blocks.take(self._heat), self._grid, answer["manifest"])


class InsideRequest(Request[Inside]):
    """Filters and maps, whose sizes only the child knows: they fill the beginning of flat blocks."""

    def __init__(
        self, folder: ModelFolder, channels: Mapping[str, Volume], options: InsideOptions, blocks: OwnedBlocks
    ) -> None:
        super().__init__("inside", folder, channels, blocks)
        self._rooms = {name: blocks.reserve((INSIDE_FLOATS,), np.float32) for name in ("filters", "image", "maps")}
        self.message |= {"options": inside_options_to_json(options)}
        self.message |= {name: room.to_json() for name, room in self._rooms.items()}

    def result(self, answer: Message) -> Inside:
        """Return what was found."""
        arrays = {name: self._filled(room, answer["shapes"][name]) for name, room in self._rooms.items()}
        layers = tuple(_layer_from_json(fields) for fields in answer["layers"])
        return Inside(
            **arrays,
            axis=answer["axis"],
            layer=_layer_from_json(answer["layer"]),
            layers=layers,
            filter_count=answer["filter_count"],
        )

    def _filled(self, room: ArrayRef, shape: list[int]) -> LabelArray:
        size = int(np.prod(shape))
        return self._blocks.take(ArrayRef(room.kind, room.name, (size,), room.dtype)).reshape(shape)


class CostRequest(Request[WindowCost]):
    """Windows counted, one of them timed."""

    def __init__(
        self,
        folder: ModelFolder,
        channels: Mapping[str, Volume],
        options: PredictOptions,
        blocks: OwnedBlocks,
        *,
        calibrate: bool,
    ) -> None:
        super().__init__("cost", folder, channels, blocks)
        self.message |= {"options": options_to_json(options), "calibrate": calibrate}

    def result(self, answer: Message) -> WindowCost:
        """Return the cost."""
        return WindowCost(answer["windows"], answer["seconds_per_window"], answer["device"])


def _layer_from_json(fields: Message) -> Layer:
    return Layer(fields["name"], fields["channels"], tuple(fields["size"]))
