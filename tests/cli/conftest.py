"""Run commands in this process, and see what a script would see."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segdesk.cli.main import main
from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.core.volume import Volume
from segdesk.io import write_labels, write_volume
from tests.builders import ball_mask, oblique_geometry
from tests.nn.toys import threshold_model


@dataclass(frozen=True)
class Done:
    """Exit code and what was written."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object on stdout."""

        def refuse(word: str) -> None:
            raise AssertionError(f"{word} in JSON")

        return json.loads(self.out, parse_constant=refuse)


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs ``segdesk WORDS...`` in this process."""
    monkeypatch.delenv("SEGDESK_DEBUG", raising=False)

    def call(*words: str | Path) -> Done:
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return call


@pytest.fixture
def toy_model(tmp_path: Path) -> Path:
    """A model folder that labels every voxel above 50 with 7."""
    return threshold_model(tmp_path / "models" / "toy", flip_axes=("k", "j", "i")).path


@pytest.fixture
def scan_file(tmp_path: Path) -> Path:
    """An oblique NIfTI with a bright ball."""
    geometry = oblique_geometry((9, 20, 17))
    array = np.random.default_rng(5).uniform(0, 20, geometry.shape_kji).astype(np.float32)
    array[ball_mask(geometry.shape_kji, (3, 8, 6), 5.0, geometry)] += 100
    path = tmp_path / "scan.nii.gz"
    write_volume(Volume(array, geometry), path)
    return path


@pytest.fixture
def mask_files(tmp_path: Path) -> list[Path]:
    """Three readers' balls of one size at three places, on one grid."""
    paths = []
    for name, shift in (("anna", 0.0), ("ben", 1.0), ("carla", 2.0)):
        geometry = Geometry.from_spacing((9, 31, 31), (3.0, 0.8, 0.8))
        array = ball_mask(geometry.shape_kji, (4, 15, 13 + shift), 8.0, geometry).astype(np.uint8)
        paths.append(tmp_path / f"{name}.nii.gz")
        write_labels(LabelMap.of(array, geometry), paths[-1])
    return paths
