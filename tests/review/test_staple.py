from __future__ import annotations

import numpy as np
import pytest
import SimpleITK

from segdesk.review import consensus, staple
from segdesk.review.patterns import vote_patterns
from segdesk.review.staple import binary_staple, multi_label_staple
from tests.review.reads import ball_reads, line, noise_reads, read


def images(reads):
    return [SimpleITK.GetImageFromArray(read.array) for read in reads]


@pytest.mark.parametrize("count", [2, 3, 4, 5, 7])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_one_label_equals_simpleitk_on_one_domain(count, seed):
    reads = ball_reads(count, seed)
    result = consensus(reads, method="staple", domain="whole")
    oracle = SimpleITK.STAPLEImageFilter()
    truth = SimpleITK.GetArrayFromImage(oracle.Execute(images(reads)))
    sensitivity = [rater.sensitivity[1] for rater in result.raters]
    specificity = [rater.specificity[1] for rater in result.raters]
    np.testing.assert_allclose(sensitivity, oracle.GetSensitivity(), atol=1e-6)
    np.testing.assert_allclose(specificity, oracle.GetSpecificity(), atol=1e-6)
    np.testing.assert_array_equal(result.labels.array == 1, truth >= 0.5)
    assert result.converged
    # ITK counts its iterations from 0.
    assert result.iterations == oracle.GetElapsedIterations() + 1


def test_the_domain_is_what_two_tools_must_share():
    reads = ball_reads(3)
    union = consensus(reads, margin=3)
    start, stop = union.domain["box_kji"]
    cut = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    oracle = SimpleITK.STAPLEImageFilter()
    oracle.Execute([SimpleITK.GetImageFromArray(np.ascontiguousarray(read.array[cut])) for read in reads])
    np.testing.assert_allclose([r.specificity[1] for r in union.raters], oracle.GetSpecificity(), atol=1e-6)
    whole = consensus(reads, domain="whole")
    assert min(r.specificity[1] for r in whole.raters) > min(r.specificity[1] for r in union.raters)


@pytest.mark.parametrize(("count", "classes"), [(3, 4), (4, 3), (5, 6)])
def test_several_labels_equal_simpleitk(count, classes, monkeypatch):
    monkeypatch.setattr(staple, "MULTI_STOP", 1e-9)
    reads = noise_reads(count, classes)
    result = consensus(reads, method="staple", domain="whole")
    oracle = SimpleITK.MultiLabelSTAPLEImageFilter()
    oracle.SetTerminationUpdateThreshold(1e-9)
    oracle.SetLabelForUndecidedPixels(99)
    truth = SimpleITK.GetArrayFromImage(oracle.Execute(images(reads)))
    np.testing.assert_array_equal(np.where(truth == 99, 0, truth), result.labels.array)
    ours = multi_label_staple(vote_patterns([read.array for read in reads]))
    for rater in range(count):
        theirs = np.array(oracle.GetConfusionMatrix(rater)).reshape(-1, classes)[:classes]
        np.testing.assert_allclose(ours.confusion[rater], theirs, atol=1e-6)


def test_a_domain_without_background_has_a_truth_and_no_nan():
    found = binary_staple(vote_patterns([np.array([[[1, 1, 0]]], np.uint8), np.array([[[1, 1, 1]]], np.uint8)]))
    assert np.isfinite(found.confusion).all()
    full = consensus([read(np.ones((2, 3, 4), np.uint8))] * 2, names=["a", "b"], margin=0)
    assert full.labels.array.all()
    assert full.raters[0].sensitivity == {1: 1.0}


def test_em_that_does_not_settle_says_so(monkeypatch):
    monkeypatch.setattr(staple, "MAX_ITERATIONS", 2)
    assert consensus(ball_reads(4)).converged is False
    assert consensus(noise_reads(3, 4)).converged is False


def test_a_tie_of_several_labels_is_undecided():
    result = consensus([line(1, 1, 2, 2, 0, 0), line(2, 1, 1, 2, 0, 0)], method="staple", domain="whole")
    assert result.labels.array.ravel().tolist() in ([0, 1, 0, 2, 0, 0],)
    assert result.undecided.array.ravel().tolist() == [1, 0, 1, 0, 0, 0]
