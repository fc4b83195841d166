"""`segdesk explain`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segdesk.io import read_labels, read_volume


def test_a_heat_map_is_written_on_the_grid_of_the_image(run, scan_file: Path, toy_model: Path, tmp_path: Path) -> None:
    words = ["--model", toy_model, "--device", "cpu"]
    assert run("predict", scan_file, tmp_path / "m.nii.gz", *words).code == 0
    done = run("explain", scan_file, tmp_path / "h.nii.gz", *words, "--label", 7, "--json")
    assert done.code == 0, done.err
    heat, mask = read_volume(tmp_path / "h.nii.gz"), read_labels(tmp_path / "m.nii.gz")
    assert heat.geometry.matches(mask.geometry)
    assert done.json["voxels_explained"] == int(np.count_nonzero(mask.array))
    assert heat.array[mask.array == 7].mean() > heat.array[mask.array == 0].mean()


def test_a_label_that_is_none_is_one_line(run, scan_file: Path, toy_model: Path, tmp_path: Path) -> None:
    done = run("explain", scan_file, tmp_path / "h.nii.gz", "--model", toy_model, "--label", 3)
    assert done.code == 2
    assert "no label 3" in done.err
    assert not (tmp_path / "h.nii.gz").exists()
