"""`segdesk agree` and `segdesk consensus`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segdesk.io import read_labels, read_volume


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))


def test_pairwise_dice_is_that_of_the_masks(run, mask_files: list[Path]) -> None:
    found = run("agree", *mask_files, "--json").json
    masks = [read_labels(path).array > 0 for path in mask_files]
    matrix = found["labels"]["1"]["pairwise_dice"]["matrix"]
    assert found["raters"] == ["anna", "ben", "carla"]
    assert matrix[0][1] == pytest.approx(_dice(masks[0], masks[1]))
    assert matrix[0][2] == pytest.approx(_dice(masks[0], masks[2]))
    assert {"krippendorff_alpha", "fleiss_kappa", "domain"} <= found.keys()
    assert {"gci", "leave_one_out_dice", "pairwise_dice"} <= found["labels"]["1"].keys()


def test_agreement_in_words(run, mask_files: list[Path]) -> None:
    done = run("agree", *mask_files, "--names", "A,B,C")
    assert done.code == 0
    assert "Krippendorff" in done.out


def test_one_mask_is_no_panel(run, mask_files: list[Path]) -> None:
    assert run("agree", mask_files[0]).code == 2


def test_the_majority_is_what_two_of_three_drew(run, mask_files: list[Path], tmp_path: Path) -> None:
    done = run("consensus", *mask_files, "--out", tmp_path / "m.nii.gz", "--method", "majority", "--json")
    assert done.code == 0, done.err
    votes = sum((read_labels(path).array > 0).astype(int) for path in mask_files)
    np.testing.assert_array_equal(read_labels(tmp_path / "m.nii.gz").array > 0, votes >= 2)
    fields = {"method", "domain", "raters", "voxels", "iterations", "converged", "warnings", "agreement"}
    assert fields <= done.json.keys()
    assert {"consensus", "disputed", "undecided"} <= done.json["voxels"].keys()


def test_a_quorum_of_all_is_the_intersection(run, mask_files: list[Path], tmp_path: Path) -> None:
    words = ["--out", tmp_path / "m.nii.gz", "--method", "quorum", "--quorum", "3/3"]
    assert run("consensus", *mask_files, *words).code == 0
    every = np.logical_and.reduce([read_labels(path).array > 0 for path in mask_files])
    np.testing.assert_array_equal(read_labels(tmp_path / "m.nii.gz").array > 0, every)


def test_staple_gives_each_reader_a_sensitivity(run, mask_files: list[Path], tmp_path: Path) -> None:
    done = run("consensus", *mask_files, "--out", tmp_path / "m.nii.gz", "--method", "staple", "--json")
    assert [rater["name"] for rater in done.json["raters"]] == ["anna", "ben", "carla"]
    assert all(0 <= rater["sensitivity"]["1"] <= 1 for rater in done.json["raters"])
    assert done.json["converged"] is True


def test_votes_and_undecided_voxels_are_written_on_request(run, mask_files: list[Path], tmp_path: Path) -> None:
    words = ["--votes", tmp_path / "v.nii.gz", "--undecided", tmp_path / "u.nii.gz", "--method", "majority"]
    done = run("consensus", *mask_files[:2], "--out", tmp_path / "m.nii.gz", *words, "--json")
    assert done.code == 0, done.err
    votes = sum((read_labels(path).array > 0).astype(int) for path in mask_files[:2])
    np.testing.assert_array_equal(read_labels(tmp_path / "u.nii.gz").array > 0, votes == 1)
    np.testing.assert_allclose(read_volume(tmp_path / "v.nii.gz").array, votes / 2)
    assert done.json["voxels"]["undecided"] == np.count_nonzero(votes == 1)


@pytest.mark.parametrize("words", [["--method", "magic"], ["--method", "quorum", "--quorum", "7/3"], ["--domain", "x"]])
def test_a_method_that_is_none_is_refused(words: list[str], run, mask_files: list[Path], tmp_path: Path) -> None:
    done = run("consensus", *mask_files, "--out", tmp_path / "m.nii.gz", *words)
    assert done.code == 2
    assert not (tmp_path / "m.nii.gz").exists()
