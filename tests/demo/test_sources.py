"""The demo's images and its folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from segdesk.core.geometry import Geometry
from segdesk.demo import sources
from segdesk.demo.folder import mark, prepare_folder, write_report
from segdesk.errors import MissingExtra, WriteError
from segdesk.io import read_volume


def test_the_template_is_copied_whole(tmp_path: Path) -> None:
    path = sources.copy_template(tmp_path)
    assert nib.load(path).shape == (197, 233, 189)


def test_nilearn_is_not_imported_for_its_file(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from segdesk.demo import sources;"
        f"sources.copy_template(Path({str(tmp_path)!r})); sys.exit('nilearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_boxes_lie_on_the_named_side_and_around_the_hippocampus(tmp_path: Path) -> None:
    volume = read_volume(sources.copy_template(tmp_path))
    assert isinstance(volume.geometry, Geometry)
    for side, sign in zip(sources.SIDES, (1, -1), strict=True):
        box = side.box(volume.geometry)
        # The middle of the hippocampus in MNI space (RAS mm): 27 beside the midline, 22 behind, 14 below the origin.
        centre_lps = (sign * 27.0, 22.0, -14.0)
        index = volume.geometry.lps_to_index(centre_lps)
        assert box.contains(tuple(round(x) for x in index))
        assert box.shape_kji == (45, 51, 37)


def test_the_slice_is_one_image(tmp_path: Path) -> None:
    volume = read_volume(sources.copy_slice(tmp_path))
    assert volume.is_2d
    assert volume.array.std() > 0


def test_a_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pip install nilearn"):
        sources.copy_template(tmp_path)


def test_a_box_outside_the_grid_is_clipped() -> None:
    grid = Geometry.from_spacing((5, 5, 5))
    assert sources.Side("x", (-100.0, -100.0, -100.0), (100.0, 100.0, 100.0)).box(grid).shape_kji == (5, 5, 5)


def test_a_new_folder_is_made(tmp_path: Path) -> None:
    prepare_folder(tmp_path / "d", overwrite=False)
    assert (tmp_path / "d").is_dir()


def test_somebody_s_own_folder_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(WriteError):
        prepare_folder(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_finished_demo_is_replaced_only_when_asked(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    prepare_folder(folder, overwrite=False)
    write_report(folder, "<html>")
    mark(folder, finished=True)
    with pytest.raises(WriteError) as caught:
        prepare_folder(folder, overwrite=False)
    assert caught.value.code == "exists"
    prepare_folder(folder, overwrite=True)
    assert not (folder / "report.html").exists()


def test_an_unfinished_demo_is_started_again(tmp_path: Path) -> None:
    prepare_folder(tmp_path / "d", overwrite=False)
    (tmp_path / "d" / "half").touch()
    prepare_folder(tmp_path / "d", overwrite=False)
    assert not (tmp_path / "d" / "half").exists()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WriteError):
        prepare_folder(tmp_path / "no" / "such", overwrite=False)


def test_the_brightness_of_the_template_is_kept(tmp_path: Path) -> None:
    path = sources.copy_template(tmp_path)
    expected = np.asarray(nib.load(path).dataobj).transpose(2, 1, 0)
    np.testing.assert_array_equal(read_volume(path).array, expected)
