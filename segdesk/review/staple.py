"""STAPLE: truth and raters' quality estimated together by expectation maximisation.

References
----------
Warfield, Zou, Wells, IEEE TMI 23(7):903-921, 2004 (one label);
Rohlfing, Russakoff, Maurer, IEEE TMI 23(8):983-994, 2004 (several labels).

Start and stop rules are ITK's, so that results equal SimpleITK's on one domain.
Raters' weights do not enter: STAPLE finds its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segdesk.review.patterns import VotePatterns
from segdesk.review.voting import UNDECIDED

Floats = NDArray[np.float64]

BINARY_STOP = 1e-14
"""Largest squared change of any p or q at which ITK's STAPLE stops."""

MULTI_STOP = 1e-5
"""Largest change of any confusion entry at which ITK's multi-label STAPLE stops."""

MAX_ITERATIONS = 10_000
"""ITK has no bound; EM on real reads stops within a hundred."""


@dataclass(frozen=True, slots=True)
class StapleResult:
    """What EM found.

    Parameters
    ----------
    winners : ndarray of int, shape (P,)
        Class of each pattern; `UNDECIDED` on a tie of several labels.
    confusion : ndarray of float64, shape (N, C, C)
        ``confusion[j, said, true]``: probability that rater j says a class where another is true.
    iterations : int
        EM steps done.
    converged : bool
        Whether the stop rule was met.
    """

    winners: NDArray[np.intp]
    confusion: Floats
    iterations: int
    converged: bool


def binary_staple(patterns: VotePatterns) -> StapleResult:
    """Run STAPLE for one label against background.

    The prior g is the mean foreground fraction of the raters in the domain; the truth is W >= 0.5.
    Both classes must occur.
    """
    said = (patterns.votes == 1).astype(np.float64)
    counts = patterns.counts.astype(np.float64)
    prior = float((counts @ said).sum() / (counts.sum() * patterns.n_raters))
    truth = said.mean(axis=1)
    p, q = np.full(patterns.n_raters, -10.0), np.full(patterns.n_raters, -10.0)
    iteration, change = 0, math.inf
    while change > BINARY_STOP and iteration < MAX_ITERATIONS:
        iteration += 1
        new_p, new_q = _quality(said, counts, truth)
        change = max(float(((new_p - p) ** 2).max()), float(((new_q - q) ** 2).max()))
        p, q = new_p, new_q
        truth = _truth(said, p, q, prior)
    confusion = np.stack([np.stack([q, 1 - p], axis=1), np.stack([1 - q, p], axis=1)], axis=1)
    return StapleResult((truth >= 0.5).astype(np.intp), confusion, iteration, change <= BINARY_STOP)


def _quality(said: Floats, counts: Floats, truth: Floats) -> tuple[Floats, Floats]:
    """M-step: p = sum(W D)/sum(W), q = sum((1-W)(1-D))/sum(1-W)."""
    inside, outside = counts * truth, counts * (1 - truth)
    p = inside @ said / inside.sum()
    # A domain without any background voxel says nothing about specificity: nothing was marked wrongly.
    q = outside @ (1 - said) / outside.sum() if outside.sum() > 0 else np.ones(said.shape[1])
    return p, q


def _truth(said: Floats, p: Floats, q: Floats, prior: float) -> Floats:
    """E-step: W = a / (a + b)."""
    a = prior * np.where(said == 1, p, 1 - p).prod(axis=1)
    b = (1 - prior) * np.where(said == 1, 1 - q, q).prod(axis=1)
    total = a + b
    return np.asarray(np.divide(a, total, out=np.zeros_like(a), where=total > 0), dtype=np.float64)


def multi_label_staple(patterns: VotePatterns) -> StapleResult:
    """Run STAPLE with a confusion matrix per rater, background being a class like any other.

    It starts from the plurality vote (ties give no evidence), with the classes' mean frequency as prior.
    """
    n_classes, n_raters = len(patterns.values), patterns.n_raters
    counts = patterns.counts.astype(np.float64)
    class_votes = patterns.class_votes()
    prior = counts @ class_votes / (counts.sum() * n_raters)
    said = np.stack([patterns.votes == place for place in range(n_classes)], axis=2).astype(np.float64)
    truth = _plurality(class_votes)
    confusion = _confusions(said, counts, truth)
    iteration, change = 0, math.inf
    while change >= MULTI_STOP and iteration < MAX_ITERATIONS:
        iteration += 1
        truth = _class_truth(patterns.votes, confusion, prior)
        updated = _confusions(said, counts, truth)
        change = float(np.abs(updated - confusion).max())
        confusion = updated
    truth = _class_truth(patterns.votes, confusion, prior)
    return StapleResult(_unique_best(truth), confusion, iteration, change < MULTI_STOP)


def _plurality(class_votes: NDArray[np.intp]) -> Floats:
    best = class_votes == class_votes.max(axis=1, keepdims=True)
    is_alone = best.sum(axis=1, keepdims=True) == 1
    return np.asarray(best & is_alone, dtype=np.float64)


def _confusions(said: Floats, counts: Floats, truth: Floats) -> Floats:
    """Return P(said | true) per rater, shape (N, said, true); a class that is never true is left at 0."""
    joint = np.einsum("p,pns,pt->nst", counts, said, truth)
    totals = joint.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(joint, totals, out=np.zeros_like(joint), where=totals > 0), dtype=np.float64)


def _class_truth(votes: NDArray[np.intp], confusion: Floats, prior: Floats) -> Floats:
    weight = np.repeat(prior[None, :], len(votes), axis=0)
    for rater in range(votes.shape[1]):
        weight = weight * confusion[rater, votes[:, rater], :]
    totals = weight.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(weight, totals, out=np.zeros_like(weight), where=totals > 0), dtype=np.float64)


def _unique_best(truth: Floats) -> NDArray[np.intp]:
    best = truth.max(axis=1, keepdims=True)
    is_alone = ((truth == best).sum(axis=1) == 1) & (best[:, 0] > 0)
    return np.where(is_alone, truth.argmax(axis=1), UNDECIDED).astype(np.intp)
