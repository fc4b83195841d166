"""`segdesk bench`."""

from __future__ import annotations

from pathlib import Path

import pytest

from segdesk.cli import bench as bench_module
from segdesk.errors import NotFound


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "quick.py").write_text('print("noise"); print(\'{"median_ms": 1.5}\')\n')
    (tmp_path / "broken.py").write_text("raise SystemExit('no luck')\n")
    (tmp_path / "_shared.py").write_text("")
    monkeypatch.setattr(bench_module, "benchmarks_folder", lambda: tmp_path)
    return tmp_path


def test_the_figures_of_a_benchmark_are_shown(run, folder: Path) -> None:
    assert run("bench", "quick", "--json").json == {"benchmarks": {"quick": {"median_ms": 1.5}}}
    assert "median_ms" in run("bench", "quick").out


def test_a_benchmark_that_fails_is_an_internal_failure(run, folder: Path) -> None:
    done = run("bench", "broken")
    assert done.code == 1
    assert "no luck" in done.err


def test_an_unknown_benchmark_names_those_there_are(run, folder: Path) -> None:
    done = run("bench", "slow")
    assert done.code == 2
    assert "broken, quick" in done.err


def test_an_installed_package_says_that_it_has_no_benchmarks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segdesk.__file__", str(tmp_path / "segdesk" / "__init__.py"))
    with pytest.raises(NotFound, match="source checkout"):
        bench_module.benchmarks_folder()
