"""`segdesk cache`, and what `segdesk predict` takes from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segdesk import paths
from segdesk.io import read_labels
from segdesk.session.result_cache import LIMIT_VARIABLE


def test_a_second_run_takes_the_result_from_the_cache_and_says_so(
    run, scan_file: Path, toy_model: Path, tmp_path: Path
) -> None:
    words = ["--model", toy_model, "--device", "cpu"]
    first = run("predict", scan_file, tmp_path / "a.nii.gz", *words, "--json").json
    second = run("predict", scan_file, tmp_path / "b.nii.gz", *words, "--json").json
    assert (first["cached"], second["cached"]) == (False, True)
    assert second["cache"]["seconds"] == first["seconds"]
    assert second["seconds"]["network"] == 0.0
    assert second["labels"] == first["labels"]
    a, b = (read_labels(tmp_path / f"{name}.nii.gz") for name in "ab")
    np.testing.assert_array_equal(a.array, b.array)
    assert a.geometry == b.geometry
    assert b.table == a.table
    page = run("predict", scan_file, tmp_path / "c.nii.gz", *words).out
    assert "From the result cache: made " in page
    assert "--no-cache" in page


def test_without_the_cache_the_model_runs_and_nothing_is_kept(
    run, scan_file: Path, toy_model: Path, tmp_path: Path
) -> None:
    words = ["predict", scan_file, tmp_path / "m.nii.gz", "--model", toy_model, "--device", "cpu", "--overwrite"]
    assert run(*words, "--no-cache", "--json").json["cached"] is False
    assert run("cache", "info", "--json").json["results"] == 0
    run(*words)
    assert run(*words, "--no-cache", "--json").json["cached"] is False


def test_results_of_a_folder_are_counted(run, scan_file: Path, toy_model: Path, tmp_path: Path) -> None:
    cases = tmp_path / "cases"
    cases.mkdir()
    for name in ("one", "two"):
        (cases / f"{name}.nii.gz").write_bytes(scan_file.read_bytes())
    done = run("predict", cases, tmp_path / "masks", "--model", toy_model, "--device", "cpu")
    assert "2 predicted (1 from the result cache), 0 were there already." in done.out


def test_the_cache_is_looked_at_and_cleared(run, scan_file: Path, toy_model: Path, tmp_path: Path) -> None:
    run("predict", scan_file, tmp_path / "m.nii.gz", "--model", toy_model, "--device", "cpu")
    found = run("cache", "info", "--json").json
    assert found.keys() == {"folder", "results", "bytes", "limit_bytes"}
    assert (found["results"], found["limit_bytes"]) == (1, 4_000_000_000)
    assert found["folder"] == str(paths.user_cache_folder() / "predictions")
    assert "1 results, 0.0 MB of 4.0 GB" in run("cache", "info").out
    assert "1 results removed" in run("cache", "clear").out
    assert run("cache", "info", "--json").json["results"] == 0
    assert (tmp_path / "m.nii.gz").exists()


def test_a_cache_that_is_turned_off_says_so(
    run, scan_file: Path, toy_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, "0")
    run("predict", scan_file, tmp_path / "m.nii.gz", "--model", toy_model, "--device", "cpu")
    assert "0 results, 0.0 MB; turned off" in run("cache", "info").out
    monkeypatch.setenv(LIMIT_VARIABLE, "much")
    assert run("cache", "info").code == 2
