from __future__ import annotations

import json

import numpy as np
import pytest

from segdesk.core.box import Box
from segdesk.core.geometry import SliceStackGeometry
from segdesk.core.prediction import EngineChoice, Precision, PredictOptions
from segdesk.core.volume import IntensityUnit, Volume
from segdesk.errors import GeometryMismatch, WorkerError
from segdesk.workers.messages import (
    decode,
    encode,
    error_from_json,
    error_to_json,
    grid_from_json,
    grid_to_json,
    options_from_json,
    options_to_json,
    volume_from_json,
    volume_to_json,
)
from segdesk.workers.shared_array import BorrowedBlocks, OwnedBlocks
from tests.builders import oblique_geometry, sheared_geometry


@pytest.mark.parametrize("geometry", [oblique_geometry(), sheared_geometry()])
def test_a_regular_grid_arrives_bit_for_bit(geometry: object) -> None:
    assert grid_from_json(json.loads(json.dumps(grid_to_json(geometry)))) == geometry  # type: ignore[arg-type]


def test_an_irregular_stack_arrives_bit_for_bit() -> None:
    affines = np.random.default_rng(0).normal(size=(3, 4, 3))
    stack = SliceStackGeometry((3, 5, 6), affines, np.array([1.0, 1 / 3, 2.0]), spacing_known=False)
    back = grid_from_json(json.loads(json.dumps(grid_to_json(stack))))
    assert isinstance(back, SliceStackGeometry)
    assert np.array_equal(back.slice_affines_ji_to_lps, affines)
    assert np.array_equal(back.thickness_k_mm, stack.thickness_k_mm)
    assert not back.spacing_known


@pytest.mark.parametrize(
    "options",
    [
        PredictOptions(),
        PredictOptions("cuda:1", 0.25, Box((1, 2, 3), (4, 5, 6)), True, True),
        PredictOptions(engine=EngineChoice.OPENVINO, precision=Precision.BF16),
    ],
)
def test_options_arrive_unchanged(options: PredictOptions) -> None:
    assert options_from_json(json.loads(json.dumps(options_to_json(options)))) == options


def test_a_volume_arrives_with_its_padding_and_colours_but_not_its_file() -> None:
    geometry = oblique_geometry((2, 3, 4))
    array = np.arange(72, dtype=np.uint8).reshape(2, 3, 4, 3)
    volume = Volume(array, geometry, IntensityUnit.RGB, padding_range=(-2000.0, -1000.0), source_path="/home/x/Doe.nii")
    with OwnedBlocks() as owned:
        text = encode(volume_to_json(volume, owned.share(array)))
        borrowed = BorrowedBlocks()
        back = volume_from_json(decode(text), borrowed)
        assert np.array_equal(back.array, array)
        assert (back.unit, back.padding_range, back.geometry) == (volume.unit, volume.padding_range, geometry)
        del back
        borrowed.close()
    assert "Doe" not in text


def test_an_array_without_voxels_can_be_shared() -> None:
    with OwnedBlocks() as owned:
        ref = owned.share(np.zeros((0, 3), np.int16))
        assert owned.take(ref).shape == (0, 3)


def test_an_error_keeps_class_code_and_path() -> None:
    back = error_from_json(json.loads(json.dumps(error_to_json(GeometryMismatch("other grid", path="a.nii")))))
    assert isinstance(back, GeometryMismatch)
    assert (back.message, back.code, back.path) == ("other grid", "geometry_mismatch", "a.nii")


@pytest.mark.parametrize("line", ["", "hello", "[1]", '{"event": '])
def test_what_is_no_message_is_refused(line: str) -> None:
    with pytest.raises(WorkerError):
        decode(line)
