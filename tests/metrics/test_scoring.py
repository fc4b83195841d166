"""Every row of the table of edge cases, and whole cases against other people's code."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import SimpleITK

from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.core.labels import Label, LabelMap, LabelTable
from segdesk.errors import GeometryMismatch, InvalidMask, ShapeMismatch, UsageError
from segdesk.metrics import CohortScores, Status, cell_scores, evaluate, evaluate_cases
from tests.builders import ball, ball_mask, oblique_geometry, sheared_geometry

GRID = Geometry.from_spacing((8, 20, 24), (3.0, 0.8, 0.7))


def labels_of(box, value=1, geometry=GRID):
    array = np.zeros(geometry.shape_kji, np.uint8)
    array[box] = value
    return LabelMap.of(array, geometry)


LEFT, RIGHT = np.s_[2:6, 4:12, 3:12], np.s_[2:6, 4:12, 5:14]


def only(scores):
    (label,) = scores.labels
    return label


def assert_json_is_strict(scores):
    json.dumps(scores.to_json(), allow_nan=False)


def test_two_boxes_have_the_overlap_worked_out_by_hand():
    label = only(evaluate(labels_of(RIGHT), labels_of(LEFT)))
    assert label.status is Status.OK
    assert label.dice == pytest.approx(7 / 9)
    assert label.iou == pytest.approx(7 / 11)
    assert (label.precision, label.recall) == (pytest.approx(7 / 9), pytest.approx(7 / 9))
    assert label.hd95_mm == pytest.approx(1.4)
    assert label.volume_reference_mm3 == pytest.approx(4 * 8 * 9 * 3 * 0.8 * 0.7)
    assert label.volume_error_mm3 == pytest.approx(0.0)
    assert label.volume_error_percent == pytest.approx(0.0)
    assert 0 < label.specificity < 1
    assert label.reason == ""


def test_both_empty_is_undefined_outside_the_mean_and_counted():
    table = LabelTable([Label.default(1), Label(2, "cyst", (1, 2, 3))])
    reference = LabelMap((labels_of(LEFT).array,), GRID, table)
    scores = evaluate(LabelMap((labels_of(RIGHT).array,), GRID, table), reference)
    cyst = scores.labels[1]
    assert (cyst.name, cyst.status) == ("cyst", Status.BOTH_EMPTY)
    assert math.isnan(cyst.dice)
    assert math.isnan(cyst.nsd)
    assert "agree" in cyst.reason
    assert (scores.mean.n, scores.n_undefined) == (1, 1)
    assert scores.mean_dice == pytest.approx(7 / 9)
    assert scores.mean_iou == pytest.approx(7 / 11)
    assert scores.mean.dice_if_empty_is_1 == pytest.approx((7 / 9 + 1) / 2)
    assert scores.to_json()["labels"]["2"]["dice"] is None
    assert_json_is_strict(scores)


def test_a_false_positive_has_dice_0_and_its_volume():
    label = only(evaluate(labels_of(LEFT), LabelMap.empty(GRID)))
    assert label.status is Status.FALSE_POSITIVE
    assert (label.dice, label.iou) == (0.0, 0.0)
    assert label.volume_error_mm3 == label.volume_candidate_mm3 > 0
    assert math.isnan(label.volume_error_percent)
    assert math.isnan(label.recall)


def test_a_missed_label_has_dice_0_and_no_distance_least_of_all_0_mm():
    scores = evaluate(LabelMap.empty(GRID), labels_of(LEFT))
    label = only(scores)
    assert label.status is Status.MISSED
    assert label.dice == 0.0
    assert math.isnan(label.hd95_mm)
    assert math.isnan(label.assd_mm)
    assert label.nsd == 0.0
    assert "missed" in label.reason
    assert scores.mean_dice == 0.0
    assert_json_is_strict(scores)


def test_two_empty_maps_without_names_have_no_mean():
    scores = evaluate(LabelMap.empty(GRID), LabelMap.empty(GRID))
    assert scores.labels == ()
    assert math.isnan(scores.mean_dice)
    assert scores.pixel_accuracy == 1.0
    assert_json_is_strict(scores)


def test_another_shape_is_refused():
    with pytest.raises(ShapeMismatch, match="resample"):
        evaluate(ball(), labels_of(LEFT))


def test_the_same_shape_with_another_affine_is_refused():
    moved = GRID.affine_kji_to_lps.copy()
    moved[0, 3] += 0.01
    with pytest.raises(GeometryMismatch, match="resample"):
        evaluate(labels_of(LEFT, geometry=Geometry(GRID.shape_kji, moved)), labels_of(LEFT))


def test_resampling_brings_the_candidate_to_the_reference_and_says_so():
    fine = Geometry.from_spacing((24, 20, 24), (1.0, 0.8, 0.7))
    array = np.zeros(fine.shape_kji, np.uint8)
    array[5:17, 4:12, 3:12] = 1
    scores = evaluate(LabelMap.of(array, fine), labels_of(LEFT), resample=True)
    assert only(scores).dice == 1.0
    assert [warn.code for warn in scores.warnings] == ["resampled"]


def test_resampling_is_not_done_where_the_grids_agree():
    assert evaluate(labels_of(LEFT), labels_of(LEFT), resample=True).warnings == ()


def test_probabilities_are_no_mask():
    with pytest.raises(InvalidMask, match="threshold"):
        LabelMap.of(np.full(GRID.shape_kji, 0.4), GRID)


@pytest.mark.parametrize("geometry", [GRID, oblique_geometry(GRID.shape_kji), sheared_geometry(GRID.shape_kji)])
def test_every_label_against_itself_is_perfect(geometry):
    rng = np.random.default_rng(0)
    labels = LabelMap.of(rng.integers(0, 5, geometry.shape_kji).astype(np.uint16) * 100, geometry)
    for label in evaluate(labels, labels).labels:
        assert (label.dice, label.hd95_mm, label.assd_mm, label.nsd) == (1.0, 0.0, 0.0, 1.0)


def test_masks_at_the_border_of_one_voxel_and_of_one_slice_have_surfaces():
    corner, plate = labels_of(np.s_[0, 0, 0]), labels_of(np.s_[7])
    assert only(evaluate(corner, corner)).hd95_mm == 0.0
    assert only(evaluate(corner, plate)).hd95_mm >= 7 * 3.0


def test_a_two_dimensional_image_is_scored():
    flat = Geometry.from_spacing((1, 30, 30), (1.0, 0.5, 0.5))
    first, second = labels_of(np.s_[:, 5:15, 5:15], geometry=flat), labels_of(np.s_[:, 5:15, 7:17], geometry=flat)
    assert only(evaluate(first, second)).hd95_mm == pytest.approx(1.0)


def test_the_answers_are_on_all_labels_those_of_simpleitk():
    rng = np.random.default_rng(2)
    array = np.zeros(GRID.shape_kji, np.uint8)
    for value in (1, 2, 9):
        array[ball_mask(GRID.shape_kji, tuple(rng.uniform((2, 5, 5), (6, 15, 19))), 4.0, GRID)] = value
    other = np.roll(array, (1, 2), (0, 2))
    scores = evaluate(LabelMap.of(other, GRID), LabelMap.of(array, GRID))
    oracle = SimpleITK.LabelOverlapMeasuresImageFilter()
    oracle.Execute(SimpleITK.GetImageFromArray(array), SimpleITK.GetImageFromArray(other))
    for label in scores.labels:
        assert label.dice == pytest.approx(oracle.GetDiceCoefficient(label.value))
        assert label.iou == pytest.approx(oracle.GetJaccardCoefficient(label.value))


def irregular(shape):
    affines = np.zeros((shape[0], 4, 3))
    affines[:, 1, 0] = affines[:, 0, 1] = affines[:, 3, 2] = 1
    affines[:, 2, 2] = (0, 5, 15, 20)
    return SliceStackGeometry(shape, affines, np.array([5.0, 7.5, 7.5, 5.0]))


def test_irregular_slices_have_overlap_and_volumes_but_no_distances():
    grid = irregular((4, 6, 7))
    first, second = labels_of(np.s_[:2, 1:3, 1:3], geometry=grid), labels_of(np.s_[1:3, 1:3, 1:3], geometry=grid)
    scores = evaluate(first, second)
    label = only(scores)
    assert label.dice == 0.5
    assert label.volume_error_mm3 == pytest.approx(4 * (5.0 + 7.5) - 4 * (7.5 + 7.5))
    assert math.isnan(label.hd95_mm)
    assert math.isnan(label.nsd)
    assert "irregular" in label.reason
    assert "missed" in only(evaluate(LabelMap.empty(grid), second)).reason
    assert_json_is_strict(scores)


def test_nothing_is_resampled_to_irregular_slices():
    grid = irregular((4, 6, 7))
    with pytest.raises(GeometryMismatch, match="irregular"):
        evaluate(labels_of(LEFT), labels_of(np.s_[0], geometry=grid), resample=True)


def test_overlapping_labels_in_layers_are_scored_each_as_its_own_mask():
    table = LabelTable.for_values([1, 2])
    first, second = np.zeros(GRID.shape_kji, np.uint8), np.zeros(GRID.shape_kji, np.uint8)
    first[LEFT], second[RIGHT] = 1, 2
    layered = LabelMap((first, second), GRID, table)
    scores = evaluate(layered, layered)
    assert [label.dice for label in scores.labels] == [1.0, 1.0]
    assert scores.pixel_accuracy == 1.0
    flat = evaluate(LabelMap.of(first, GRID), layered)
    assert [label.dice for label in flat.labels] == [1.0, 0.0]
    assert flat.labels[1].status is Status.MISSED
    assert flat.pixel_accuracy == pytest.approx(1 - 4 * 8 * 9 / first.size)


def test_layers_on_a_grid_without_voxels_have_no_accuracy():
    empty = Geometry.from_spacing((0, 3, 4))
    layers = (np.zeros((0, 3, 4), np.uint8),) * 2
    nothing = LabelMap(layers, empty, LabelTable())
    assert math.isnan(evaluate(nothing, nothing).pixel_accuracy)


def test_unknown_spacing_is_said():
    grid = Geometry(GRID.shape_kji, GRID.affine_kji_to_lps, spacing_known=False)
    scores = evaluate(labels_of(LEFT, geometry=grid), labels_of(LEFT, geometry=grid))
    assert [warn.code for warn in scores.warnings] == ["spacing_unknown"]


@pytest.mark.parametrize("tolerance_mm", [-0.1, math.nan, math.inf])
def test_a_tolerance_that_is_none_is_refused(tolerance_mm):
    with pytest.raises(UsageError, match="tolerance"):
        evaluate(labels_of(LEFT), labels_of(LEFT), tolerance_mm=tolerance_mm)


def test_the_tolerance_and_the_definition_are_stored_with_the_result():
    payload = evaluate(labels_of(LEFT), labels_of(RIGHT), tolerance_mm=2.5).to_json()
    assert payload["tolerance_mm"] == 2.5
    assert payload["definition"] == "segdesk-surface-1"


def test_many_cases_are_scored_one_after_the_other():
    seen = []
    cohort = evaluate_cases(
        ((name, labels_of(LEFT), labels_of(box)) for name, box in (("a", LEFT), ("b", RIGHT))),
        report=lambda done, total, text="": seen.append((done, text)),
    )
    assert [name for name, _ in cohort.cases] == ["a", "b"]
    assert seen == [(0, "Scoring a"), (1, "Scoring b")]


def test_a_case_that_is_there_twice_is_refused():
    with pytest.raises(UsageError, match="twice"):
        evaluate_cases([("a", labels_of(LEFT), labels_of(LEFT))] * 2)


def test_a_name_only_the_candidate_knows_is_used():
    named = LabelMap((labels_of(LEFT, 3).array,), GRID, LabelTable([Label(3, "stone", (9, 9, 9))]))
    assert only(evaluate(named, LabelMap.empty(GRID))).name == "stone"


def test_a_label_that_is_a_wall_scores_the_cells_it_separates() -> None:
    wall = np.zeros((1, 9, 9), np.uint8)
    wall[0, 4] = 1
    broken = wall.copy()
    broken[0, 4, 4] = 0
    grid = Geometry((1, 9, 9), np.eye(4))
    drawn, real = LabelMap.of(broken, grid), LabelMap.of(wall, grid)
    scores = evaluate(drawn, real, wall=1)
    assert scores.cells is not None
    assert scores.cells.split == 1
    assert scores.to_json()["cells"]["rand"] == pytest.approx(scores.cells.rand)
    assert "cells" not in evaluate(drawn, real).to_json()
    cohort = CohortScores((("a", scores), ("b", evaluate(real, real, wall=1))))
    assert cohort.cells == scores.cells + cell_scores(wall == 1, wall == 1)
    assert cohort.to_json()["cells"]["split"] == 1
    assert cohort.pixel_accuracy == pytest.approx((scores.pixel_accuracy + 1) / 2)
    assert CohortScores(()).cells is None
    assert CohortScores(()).to_json()["pixel_accuracy"] is None
