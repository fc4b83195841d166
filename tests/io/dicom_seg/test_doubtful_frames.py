"""Frames that could be taken for a mask they are not: time points, uneven slices, a maximum of nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset

from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.core.labels import LabelMap
from segdesk.errors import InconsistentSeries, ReadError
from segdesk.io import read_labels, read_volume, write_labels
from tests.io.dicom_seg.sources import (
    SHAPE,
    affine_of,
    assert_same_voxels,
    highdicom_voxels,
    oblique,
    save,
    seg_dataset,
    voxels_of,
    write_source,
)


def _frame(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, SHAPE[1:]).astype(np.uint8)


@pytest.mark.parametrize(("kind", "bits"), [("BINARY", 1), ("LABELMAP", 8)])
def test_different_frames_of_one_segment_at_one_place_are_never_united(tmp_path: Path, kind: str, bits: int) -> None:
    segment = None if kind == "LABELMAP" else 1
    frames = [(segment, (0, 0, z), _frame(n)) for n, z in enumerate((0, 3, 0, 3))]
    path = save(seg_dataset(kind, [1], frames, bits), tmp_path / "times.dcm")
    with pytest.raises(InconsistentSeries, match="frames 1 and 3") as caught:
        read_labels(path)
    assert caught.value.code == "duplicate_position"


@pytest.mark.parametrize(("kind", "bits"), [("BINARY", 1), ("LABELMAP", 8)])
def test_a_frame_that_is_there_twice_counts_once(tmp_path: Path, kind: str, bits: int) -> None:
    segment = None if kind == "LABELMAP" else 1
    frames = [(segment, (0, 0, z), _frame(z)) for z in (0, 3, 3)]
    labels = read_labels(save(seg_dataset(kind, [1], frames, bits), tmp_path / "twice.dcm"))
    assert len(labels.layers) == 1
    np.testing.assert_array_equal(labels.array, [_frame(0), _frame(3)])


def test_an_empty_frame_beside_a_drawn_one_is_another_frame(tmp_path: Path) -> None:
    frames = [(1, (0, 0, 0), _frame(0) * 0), (1, (0, 0, 0), _frame(0))]
    with pytest.raises(InconsistentSeries):
        read_labels(save(seg_dataset("BINARY", [1], frames), tmp_path / "a.dcm"))


def test_a_largest_fraction_of_zero_makes_no_mask_of_everything(tmp_path: Path) -> None:
    dataset = seg_dataset("FRACTIONAL", [1], [(1, (0, 0, z), _frame(0) * 0) for z in (0, 3)], bits=8)
    dataset.SegmentationFractionalType, dataset.MaximumFractionalValue = "PROBABILITY", 0
    with pytest.raises(ReadError) as caught:
        read_labels(save(dataset, tmp_path / "a.dcm"))
    assert caught.value.code == "bad_pixels"


@pytest.mark.parametrize("tag", [None, 3.0])
def test_uneven_slices_make_no_finer_grid_than_the_headers_allow(tmp_path: Path, tag: float | None) -> None:
    dataset = seg_dataset("BINARY", [1], [(1, (0, 0, z), _frame(z)) for z in (0, 3, 7, 9)])
    if tag is not None:
        dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = tag
    labels = read_labels(save(dataset, tmp_path / "uneven.dcm"))
    assert isinstance(labels.geometry, SliceStackGeometry)
    assert labels.array.shape[0] == 4
    np.testing.assert_allclose(labels.geometry.slice_affines_ji_to_lps[:, 2, 2], [0, 3, 7, 9])


def test_an_image_without_a_frame_of_reference_still_gets_a_mask_that_highdicom_places(tmp_path: Path) -> None:
    def nameless(dataset: FileDataset, n: int) -> None:
        del dataset.FrameOfReferenceUID

    affine = affine_of(*oblique())
    write_source(tmp_path / "ct", affine, edit=nameless)
    array = np.random.default_rng(8).integers(0, 2, SHAPE).astype(np.uint8)
    labels = LabelMap.of(array, read_volume(tmp_path / "ct").geometry)
    for name in ("a.dcm", "b.dcm"):
        write_labels(labels, tmp_path / name, reference=tmp_path / "ct")
    frames = {pydicom.dcmread(tmp_path / name).FrameOfReferenceUID for name in ("a.dcm", "b.dcm")}
    assert len(frames) == 1
    assert_same_voxels(highdicom_voxels(tmp_path / "a.dcm")[1], voxels_of(array, affine))
    back = read_labels(tmp_path / "a.dcm", reference=tmp_path / "ct")
    np.testing.assert_array_equal(back.array, array)


def test_sparse_frames_of_overlapping_slices_share_a_grid(tmp_path: Path) -> None:
    dataset = seg_dataset("BINARY", [1], [(1, (0, 0, z), _frame(z)) for z in (0, 4, 10)])
    labels = read_labels(save(dataset, tmp_path / "sparse.dcm"))
    assert isinstance(labels.geometry, Geometry)
    assert labels.geometry.spacing_kji_mm == pytest.approx((2, 0.8, 0.7))
    drawn = [k for k in range(6) if labels.array[k].any()]
    assert drawn == [0, 2, 5]
