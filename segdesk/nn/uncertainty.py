"""Where a network is unsure: entropy of its answer, or how much mirrored copies disagree."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from segdesk.core.box import Index3
from segdesk.nn.stitch import Sink


def entropy(logits: Tensor) -> Tensor:
    """Return the entropy of the softmax over the classes, as a part of its maximum.

    Parameters
    ----------
    logits : Tensor of float32, shape (classes, ...)
        Two classes or more.

    Returns
    -------
    Tensor of float32, shape (...)
        0 where one class is certain, 1 where all are equally likely: -sum(p log p) / log(classes).
    """
    logarithms = logits.log_softmax(dim=0)
    return -(logarithms.exp() * logarithms).sum(dim=0) / math.log(logits.shape[0])


class EntropySink:
    """Keeps the entropy of every voxel and passes the logits on.

    Parameters
    ----------
    shape : tuple of int
        (k, j, i) of the image.
    labels : Sink
        Takes the same logits.
    """

    def __init__(self, shape: Index3, labels: Sink) -> None:
        self.labels = labels
        self.uncertainty: NDArray[np.float32] = np.zeros(shape, np.float32)

    def take(self, start_k: int, logits: Tensor) -> None:
        """Keep the entropy of the slices from `start_k`."""
        self.uncertainty[start_k : start_k + logits.shape[1]] = entropy(logits).cpu().numpy()
        self.labels.take(start_k, logits)


class SpreadSink:
    """Keeps the last channel, the spread over mirrored copies, and passes the others on as logits.

    Parameters
    ----------
    shape : tuple of int
        (k, j, i) of the image.
    labels : Sink
        Takes the logits.
    """

    def __init__(self, shape: Index3, labels: Sink) -> None:
        self.labels = labels
        self.uncertainty: NDArray[np.float32] = np.zeros(shape, np.float32)

    def take(self, start_k: int, logits: Tensor) -> None:
        """Keep the spread of the slices from `start_k`."""
        self.uncertainty[start_k : start_k + logits.shape[1]] = logits[-1].cpu().numpy()
        self.labels.take(start_k, logits[:-1])
