"""DICOM Segmentation of other programs: every type and encoding, on its own grid and its image's."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, JPEG2000Lossless, JPEGLSLossless, RLELossless

from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.core.labels import Code
from segdesk.errors import GeometryMismatch, InvalidMask, ReadError, UsageError
from segdesk.io import read_labels, read_volume, scan
from segdesk.io.dicom_seg.colours import lab_of_rgb, rgb_of_lab
from segdesk.io.series import SeriesKind
from tests.io.dicom_seg.sources import (
    SHAPE,
    affine_of,
    assert_same_voxels,
    highdicom_voxels,
    oblique,
    raw_voxels,
    right_angled,
    save,
    seg_dataset,
    voxels_of,
    write_source,
)

AXIAL = affine_of([1, 0, 0], [0, 1, 0])
ORIGIN = AXIAL[:3, 3]


def at(k: float) -> tuple[float, float, float]:
    """Position of slice k of the axial source."""
    x, y, z = (float(value) for value in ORIGIN + AXIAL[:3, 0] * k)
    return x, y, z


def frame(seed: int) -> np.ndarray:
    """6 x 7 pixels: 42 bits, so that the second frame begins inside a byte."""
    return np.random.default_rng(seed).integers(0, 2, SHAPE[1:]).astype(np.uint8)


def by_highdicom(folder: Path, affine: Any, array: np.ndarray, kind: str, **options: Any) -> Path:
    """A segmentation that highdicom wrote over a raw source."""

    def complete(dataset: FileDataset, n: int) -> None:
        dataset.SpecificCharacterSet, dataset.PatientName = "ISO_IR 192", "A^B"
        for keyword in ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime"):
            setattr(dataset, keyword, "")

    sources = write_source(folder / "ct", affine, edit=complete)
    code = highdicom.sr.CodedConcept("85756007", "SCT", "Tissue")
    descriptions = [
        highdicom.seg.SegmentDescription(n, f"Part {n}", code, code, "MANUAL", display_color=_lab(n)) for n in (1, 2)
    ]
    seg = highdicom.seg.Segmentation(
        sources, array, kind, descriptions, pydicom.uid.generate_uid(), 1, pydicom.uid.generate_uid(), 1,
        "somebody", "some program", "1", "1", **options,
    )  # fmt: skip
    seg.save_as(folder / "seg.dcm")
    return folder / "seg.dcm"


def _lab(n: int) -> highdicom.color.CIELabColor:
    return highdicom.color.CIELabColor.from_rgb(10 * n, 200, 30)


@pytest.mark.parametrize(("row", "column"), [*right_angled()[::3], oblique()], ids=str)
def test_segmentations_of_highdicom_lie_where_it_put_them(tmp_path: Path, row: Any, column: Any) -> None:
    affine = affine_of(row, column)
    array = np.random.default_rng(8).integers(0, 3, SHAPE).astype(np.uint8)
    path = by_highdicom(tmp_path, affine, array, "BINARY")
    own, full = read_labels(path), read_labels(path, reference=tmp_path / "ct")
    assert isinstance(own.geometry, Geometry)
    for number in (1, 2):
        expected = voxels_of(array == number, affine)
        assert_same_voxels(voxels_of(own.array == number, own.geometry.affine_kji_to_lps), expected)
    np.testing.assert_array_equal(full.array, array)
    assert full.table[2].colour_rgb == (20, 200, 30)


@pytest.mark.parametrize("syntax", [None, RLELossless, JPEGLSLossless])
def test_label_maps_of_highdicom_are_read(tmp_path: Path, syntax: UID | None) -> None:
    affine = affine_of(*oblique())
    array = np.random.default_rng(8).integers(0, 3, SHAPE).astype(np.uint8)
    options = {} if syntax is None else {"transfer_syntax_uid": syntax}
    path = by_highdicom(tmp_path, affine, array, "LABELMAP", **options)
    np.testing.assert_array_equal(read_labels(path).array, array)
    assert read_labels(path).table.values == (1, 2)
    assert scan(path).series[0].to_json()["segmentation"]["type"] == "LABELMAP"


def test_a_tilted_segmentation_of_highdicom_keeps_its_shear(tmp_path: Path) -> None:
    affine = affine_of([1, 0, 0], [0, 1, 0], step_lps=(0.0, 1.0, 3.0))
    array = np.random.default_rng(8).integers(0, 3, SHAPE).astype(np.uint8)
    labels = read_labels(by_highdicom(tmp_path, affine, array, "BINARY"))
    assert labels.geometry.matches(Geometry(SHAPE, affine))
    assert [warning.code for warning in labels.warnings] == ["gantry_tilt"]
    np.testing.assert_array_equal(labels.array, array)


def test_frames_in_any_order_with_bits_across_bytes_and_numbers_of_their_own(tmp_path: Path) -> None:
    order = [2, 0, 4, 1, 3]
    frames = [(9 if k % 2 else 4, at(k), frame(k)) for k in order]
    labels = read_labels(save(seg_dataset("BINARY", [9, 4], frames), tmp_path / "s.dcm"))
    for k in range(5):
        np.testing.assert_array_equal(labels.array[k], frame(k) * (9 if k % 2 else 4))
    assert labels.table.values == (4, 9)
    assert labels.table[9].name == "Part 9"
    assert labels.table[9].concept is not None
    assert labels.table[9].concept.type == Code("T-D0050", "SRT", "Tissue")


def test_absent_frames_are_empty_slices_and_the_tag_tells_their_distance(tmp_path: Path) -> None:
    dataset = seg_dataset("BINARY", [1], [(1, at(1), frame(1)), (1, at(4), frame(4)), (1, at(6), frame(6))])
    labels = read_labels(save(dataset, tmp_path / "s.dcm"))
    assert labels.geometry.shape_kji == (6, 6, 7)
    assert [bool(plane.any()) for plane in labels.array] == [True, False, False, True, False, True]
    np.testing.assert_array_equal(labels.array[3], frame(4))
    dataset = seg_dataset("BINARY", [1], [(1, at(0), frame(0)), (1, at(2), frame(2))])
    dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = 3
    assert read_labels(save(dataset, tmp_path / "t.dcm")).geometry.shape_kji == (3, 6, 7)


def test_with_its_image_a_sparse_mask_has_the_whole_grid(tmp_path: Path) -> None:
    write_source(tmp_path / "ct", AXIAL)
    path = save(seg_dataset("BINARY", [1], [(1, at(3), frame(1))]), tmp_path / "s.dcm")
    assert read_labels(path).geometry.shape_kji == (1, 6, 7)
    for reference in (tmp_path / "ct", str(tmp_path / "ct"), read_volume(tmp_path / "ct").geometry):
        labels = read_labels(path, reference=reference)
        assert labels.geometry.shape_kji == SHAPE
        np.testing.assert_array_equal(labels.array[3], frame(1))
        assert int(labels.array.sum()) == int(frame(1).sum())


def test_the_grid_of_an_image_stored_along_other_axes_is_filled_by_place(tmp_path: Path) -> None:
    path = save(seg_dataset("BINARY", [1], [(1, at(3), frame(1))]), tmp_path / "s.dcm")
    shape = (7, 5, 6)
    index = np.array([[0, -1, 0, 4], [0, 0, 1, 0], [-1, 0, 0, 6], [0, 0, 0, 1.0]])
    labels = read_labels(path, reference=Geometry(shape, AXIAL @ index))
    assert_same_voxels(voxels_of(labels.array, AXIAL @ index), voxels_of(_whole({3: frame(1)}), AXIAL))


def _whole(planes: dict[int, np.ndarray]) -> np.ndarray:
    array = np.zeros(SHAPE, np.uint8)
    for k, plane in planes.items():
        array[k] = plane
    return array


def test_a_slice_beside_its_regular_place_is_found_by_the_images_header(tmp_path: Path) -> None:
    offsets = [0, 1, 2.003, 3, 4]
    write_source(tmp_path / "ct", AXIAL, offsets)
    path = save(seg_dataset("BINARY", [1], [(1, at(2.003), frame(1))]), tmp_path / "s.dcm")
    assert isinstance(read_volume(tmp_path / "ct").geometry, Geometry)
    np.testing.assert_array_equal(read_labels(path, reference=tmp_path / "ct").array[2], frame(1))


def test_irregular_frames_become_slices_with_a_place_each(tmp_path: Path) -> None:
    frames = [(1, at(k), frame(n)) for n, k in enumerate((0, 1, 2.37, 7.11))]
    path = save(seg_dataset("BINARY", [1], frames), tmp_path / "s.dcm")
    labels = read_labels(path)
    assert isinstance(labels.geometry, SliceStackGeometry)
    np.testing.assert_allclose(labels.geometry.index_to_lps((2, 0, 0)), at(2.37), atol=1e-9)
    entry = scan(path).series[0]
    assert (entry.kind, entry.warnings[-1].code) == (SeriesKind.STACK, "irregular_spacing")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: (p[0] + 0.01, p[1], p[2]), "0.01 mm beside"),
        (lambda p: (p[0], p[1], p[2] + 1.2), "1.2 mm beside"),
        (lambda p: (p[0], p[1], p[2] + 30), "beyond the image along k"),
    ],
)
def test_frames_beside_the_image_are_refused_with_the_distance(
    tmp_path: Path, change: Callable[[Any], Any], words: str
) -> None:
    path = save(seg_dataset("BINARY", [1], [(1, change(at(3)), frame(1))]), tmp_path / "s.dcm")
    with pytest.raises(GeometryMismatch, match=words) as caught:
        read_labels(path, reference=Geometry(SHAPE, AXIAL))
    assert "frame 1" in caught.value.message


def test_a_mask_of_another_frame_of_reference_is_refused(tmp_path: Path) -> None:
    write_source(tmp_path / "ct", AXIAL)
    dataset = seg_dataset("BINARY", [1], [(1, at(3), frame(1))])
    dataset.FrameOfReferenceUID = "1.2.3"
    with pytest.raises(GeometryMismatch, match="frame of reference"):
        read_labels(save(dataset, tmp_path / "s.dcm"), reference=tmp_path / "ct")


def test_of_several_images_the_one_it_names_is_taken(tmp_path: Path) -> None:
    write_source(tmp_path / "all" / "a", AXIAL)

    def other(dataset: FileDataset, n: int) -> None:
        dataset.SeriesInstanceUID = "1.2.3.4"
        dataset.SOPInstanceUID = f"1.2.3.4.{n}"

    write_source(tmp_path / "all" / "b", AXIAL, range(9), other)
    dataset = seg_dataset("BINARY", [1], [(1, at(3), frame(1))])
    with pytest.raises(UsageError, match="fits several"):
        read_labels(save(dataset, tmp_path / "s.dcm"), reference=tmp_path / "all")
    series = pydicom.Dataset()
    series.SeriesInstanceUID = "1.2.3.4"
    dataset.ReferencedSeriesSequence = [series]
    labels = read_labels(save(dataset, tmp_path / "s.dcm"), reference=tmp_path / "all")
    assert labels.geometry.shape_kji == (9, 6, 7)
    far = seg_dataset("BINARY", [1], [(1, at(40), frame(1))])
    with pytest.raises(GeometryMismatch, match="none of the 2 images"):
        read_labels(save(far, tmp_path / "far.dcm"), reference=tmp_path / "all")


def test_overlapping_segments_are_kept_in_layers_and_others_share_one(tmp_path: Path) -> None:
    one, two, three = (np.zeros(SHAPE[1:], np.uint8) for _ in range(3))
    one[:3], two[2:4], three[4:] = 1, 1, 1
    frames = [(1, at(0), one), (2, at(0), two), (3, at(0), three), (3, at(1), one)]
    labels = read_labels(save(seg_dataset("BINARY", [1, 2, 3], frames), tmp_path / "s.dcm"))
    assert len(labels.layers) == 2
    np.testing.assert_array_equal(labels.layers[0][0], one + 3 * three)
    np.testing.assert_array_equal(labels.layers[1][0], 2 * two)
    np.testing.assert_array_equal(labels.layers[0][1], 3 * one)


def test_described_but_empty_segments_are_kept_and_undescribed_ones_named(tmp_path: Path) -> None:
    nothing = np.zeros(SHAPE[1:], np.uint8)
    frames = [(1, at(0), nothing), (7, at(1), frame(1))]
    labels = read_labels(save(seg_dataset("BINARY", [1, 2], frames), tmp_path / "s.dcm"))
    assert labels.values() == (7,)
    assert [(label.value, label.name) for label in labels.table] == [(1, "Part 1"), (2, "Part 2"), (7, "Label 7")]


@pytest.mark.parametrize(("kind", "maximum"), [("PROBABILITY", 255), ("OCCUPANCY", 100), ("PROBABILITY", 1)])
def test_fractions_are_cut_at_half_of_the_stated_maximum_with_a_warning(
    tmp_path: Path, kind: str, maximum: int
) -> None:
    values = np.full(SHAPE[1:], maximum // 2, np.uint8)
    values[0] = (maximum + 1) // 2
    values[1] = maximum
    values[2] = 0
    dataset = seg_dataset("FRACTIONAL", [1], [(1, at(0), values)], 8)
    dataset.SegmentationFractionalType, dataset.MaximumFractionalValue = kind, maximum
    path = save(dataset, tmp_path / "s.dcm")
    labels = read_labels(path)
    np.testing.assert_array_equal(labels.array[0], values / maximum >= 0.5)
    assert [warning.code for warning in labels.warnings] == ["thresholded"]
    assert str(maximum) in labels.warnings[0].message
    assert "thresholded" in [warning.code for warning in scan(path).series[0].warnings]
    dataset.MaximumFractionalValue = maximum - 1 or 300
    if maximum > 1:
        with pytest.raises(ReadError, match="above its stated maximum"):
            read_labels(save(dataset, tmp_path / "s.dcm"))


@pytest.mark.parametrize(("bits", "highest"), [(8, 200), (16, 200), (16, 40000)])
def test_label_maps_of_both_widths(tmp_path: Path, bits: int, highest: int) -> None:
    planes = [frame(k).astype(np.uint16) * highest for k in range(3)]
    frames = [(None, at(k), planes[k]) for k in (1, 0, 2)]
    labels = read_labels(save(seg_dataset("LABELMAP", [0, 3, highest], frames, bits), tmp_path / "s.dcm"))
    np.testing.assert_array_equal(labels.array, np.stack(planes))
    assert labels.array.dtype == (np.uint8 if highest < 256 else np.uint16)
    assert labels.table.values == (3, highest)


def test_a_label_map_whose_background_is_not_zero(tmp_path: Path) -> None:
    plane = np.where(frame(0) > 0, 5, 0).astype(np.uint8)
    plane[0, 0] = 2
    dataset = seg_dataset("LABELMAP", [0, 2, 5], [(None, at(0), plane)], 8)
    dataset.PixelPaddingValue = 5
    labels = read_labels(save(dataset, tmp_path / "s.dcm"))
    assert [label.name for label in labels.table] == ["Part 2", "Part 0"]
    free = labels.table.values[-1]
    expected = plane.astype(int)
    expected[plane == 5], expected[plane == 0] = 0, free
    np.testing.assert_array_equal(labels.array[0], expected)


def test_colours_of_a_palette_label_map(tmp_path: Path) -> None:
    dataset = seg_dataset("LABELMAP", [1, 2], [(None, at(0), frame(0) * 2)], 8)
    dataset.PhotometricInterpretation = "PALETTE COLOR"
    for name, values in (("Red", (0, 255, 10)), ("Green", (0, 0, 20)), ("Blue", (0, 7, 30))):
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [3, 0, 16])
        data = np.array([v * 257 for v in values], "<u2").tobytes()
        setattr(dataset, f"{name}PaletteColorLookupTableData", data)
    path = save(dataset, tmp_path / "s.dcm")
    labels = read_labels(path)
    assert [label.colour_rgb for label in labels.table] == [(255, 0, 7), (10, 20, 30)]
    np.testing.assert_array_equal(labels.array[0], frame(0) * 2)
    dataset.RedPaletteColorLookupTableDescriptor = [3, 0, 99]
    assert read_labels(save(dataset, path)).table[1].colour_rgb == (230, 159, 0)


def test_colours_agree_with_highdicom_and_come_back_exactly() -> None:
    for colour in ((0, 0, 0), (255, 255, 255), (221, 130, 101), (1, 254, 3), (230, 159, 0)):
        theirs = highdicom.color.CIELabColor.from_rgb(*colour)
        np.testing.assert_allclose(lab_of_rgb(colour), theirs.value, atol=8)
        assert rgb_of_lab(lab_of_rgb(colour)) == colour
    assert max(rgb_of_lab((65535, 65535, 0))) == 255


def _deflated(dataset: FileDataset) -> None:
    frames = [np.packbits(frame(k).reshape(-1), bitorder="little").tobytes() for k in range(3)]
    packed = []
    for each in frames:
        stream = zlib.compressobj(wbits=-15)
        packed.append(stream.compress(each) + stream.flush())
    dataset.PixelData = encapsulate(packed)
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless


def _save_deflated(dataset: FileDataset, path: Path) -> Path:
    """Save and name the encoding afterwards: pydicom does not know it."""
    content = save(dataset, path).read_bytes()
    path.write_bytes(content.replace(b"1.2.840.10008.1.2.4.80", b"1.2.840.10008.1.2.8.1\0"))
    return path


def test_deflated_frames_begin_at_a_byte_each(tmp_path: Path) -> None:
    dataset = seg_dataset("BINARY", [1], [(1, at(k), frame(k)) for k in range(3)])
    _deflated(dataset)
    labels = read_labels(_save_deflated(dataset, tmp_path / "s.dcm"))
    np.testing.assert_array_equal(labels.array, np.stack([frame(k) for k in range(3)]))
    dataset.Rows = 9
    with pytest.raises(ReadError, match="cannot be decoded") as caught:
        read_labels(_save_deflated(dataset, tmp_path / "s.dcm"))
    assert caught.value.code == "bad_pixels"


def test_the_liver_is_the_same_in_six_encodings(shared_data: Path) -> None:
    folder = shared_data / "dicom-codecs/pydicom-data"
    expected = pydicom.dcmread(folder / "liver.dcm").pixel_array
    for name in ("liver", "liver_deflate", "liver_expb", "liver_j2k", "liver_rle"):
        np.testing.assert_array_equal(read_labels(folder / f"{name}.dcm").array, expected)
    odd = read_labels(folder / "liver_nonbyte_aligned.dcm")
    np.testing.assert_array_equal(odd.array, pydicom.dcmread(folder / "liver_nonbyte_aligned.dcm").pixel_array)


def test_segmentations_of_dcmqi_equal_their_nrrd_twins(shared_data: Path) -> None:
    folder = shared_data / "dicom-seg-rtstruct/dcmqi/segmentations"
    liver = read_labels(folder / "liver.dcm", reference=folder / "ct-3slice")
    np.testing.assert_array_equal(liver.array, _nrrd(folder / "liver_seg.nrrd"))
    assert liver.table[1].colour_rgb == (221, 130, 101)
    overlapping = read_labels(folder / "partial_overlaps.dcm", reference=folder / "ct-3slice")
    assert len(overlapping.layers) == 3
    twins = [_nrrd(folder / f"partial_overlaps-{n}.nrrd") for n in (1, 2, 3)]
    for value in overlapping.table.values:
        ours = np.any([layer == value for layer in overlapping.layers], axis=0)
        assert ours.any()
        assert any(np.array_equal(ours, twin == value) for twin in twins)


def _nrrd(path: Path) -> np.ndarray:
    return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))


@pytest.mark.parametrize("name", ["ct_binary", "ct_binary_overlap", "ct_binary_single_frame"])
def test_segmentations_of_highdicoms_tests_agree_with_its_reading(shared_data: Path, name: str) -> None:
    path = shared_data / f"dicom-seg-rtstruct/highdicom/seg_image_{name}.dcm"
    labels = read_labels(path)
    assert isinstance(labels.geometry, Geometry)
    expected = raw_voxels(path) if name.endswith("overlap") else highdicom_voxels(path)
    for number, places in expected.items():
        ours = np.any([layer == number for layer in labels.layers], axis=0)
        assert_same_voxels(voxels_of(ours, labels.geometry.affine_kji_to_lps), places)


def test_a_film_mask_has_no_place(shared_data: Path) -> None:
    path = shared_data / "dicom-seg-rtstruct/highdicom/seg_image_cr_binary.dcm"
    labels = read_labels(path)
    assert not labels.geometry.orientation_known
    np.testing.assert_array_equal(labels.array[0], pydicom.dcmread(path).pixel_array)
    with pytest.raises(GeometryMismatch, match="no place"):
        read_labels(path, reference=Geometry((1, 16, 16), np.eye(4)))


def test_a_mask_beside_its_image_is_listed_and_never_in_the_way(tmp_path: Path) -> None:
    write_source(tmp_path, AXIAL)
    path = save(seg_dataset("BINARY", [1], [(1, at(3), frame(1)), (1, at(2), frame(2))]), tmp_path / "a_mask.dcm")
    found = scan(tmp_path)
    assert [entry.is_mask for entry in found.series] == [False, True]
    assert found.images[0].files == SHAPE[0]
    assert found.masks[0].modality == "SEG"
    assert read_volume(tmp_path).geometry.shape_kji == SHAPE
    np.testing.assert_array_equal(read_labels(tmp_path).array, read_labels(path).array)
    np.testing.assert_array_equal(found.masks[0].read_labels().array, read_labels(path).array)
    with pytest.raises(InvalidMask, match="is a mask"):
        found.masks[0].read()
    with pytest.raises(UsageError, match="is an image"):
        found.images[0].read_labels()
    with pytest.raises(ReadError, match="masks but no image"):
        read_volume(path)
    save(seg_dataset("BINARY", [1], [(1, at(3), frame(1))]), tmp_path / "another.dcm")
    with pytest.raises(UsageError) as caught:
        read_labels(tmp_path)
    assert caught.value.code == "several_series"


def test_a_reference_without_an_image_is_refused(tmp_path: Path) -> None:
    path = save(seg_dataset("BINARY", [1], [(1, at(3), frame(1))]), tmp_path / "s.dcm")
    with pytest.raises(ReadError) as caught:
        read_labels(path, reference=path)
    assert caught.value.code == "empty"


def test_a_mask_in_another_format_is_laid_on_the_image_by_place(tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(np.ones((2, 6, 7), np.uint8))
    image.SetSpacing((0.7, 0.8, 3.0))
    image.SetOrigin(at(2))
    SimpleITK.WriteImage(image, str(tmp_path / "m.nrrd"))
    write_source(tmp_path / "ct", AXIAL)
    labels = read_labels(tmp_path / "m.nrrd", reference=tmp_path / "ct")
    assert [int(plane.sum()) for plane in labels.array] == [0, 0, 42, 42, 0]


def _edit(keyword: str, value: Any) -> Callable[[FileDataset], None]:
    return lambda dataset: setattr(dataset, keyword, value)


def _mixed(keyword: str, values: list[float], sequence: str) -> Callable[[FileDataset], None]:
    def change(dataset: FileDataset) -> None:
        item = deepcopy(dataset.SharedFunctionalGroupsSequence[0][sequence].value[0])
        setattr(item, keyword, values)
        setattr(dataset.PerFrameFunctionalGroupsSequence[1], sequence, [item])

    return change


def _without_source_or_place(dataset: FileDataset) -> None:
    for group in dataset.PerFrameFunctionalGroupsSequence:
        del group.PlanePositionSequence


def _without_segment(dataset: FileDataset) -> None:
    del dataset.PerFrameFunctionalGroupsSequence[0].SegmentIdentificationSequence


_DAMAGE: dict[str, tuple[Callable[[FileDataset], None], str]] = {
    "type": (_edit("SegmentationType", "SURFACE"), "bad_pixels"),
    "rows": (_edit("Rows", 0), "bad_pixels"),
    "bits": (_edit("BitsAllocated", 32), "bad_pixels"),
    "frames": (_edit("NumberOfFrames", 5), "bad_pixels"),
    "slide": (_edit("TotalPixelMatrixRows", 5), "unsupported_format"),
    "short": (_edit("PixelData", b"\0\0"), "truncated"),
    "long": (_edit("PixelData", b"\0" * 400), "bad_pixels"),
    "empty": (_edit("PixelData", b""), "truncated"),
    "orientation": (
        _mixed("ImageOrientationPatient", [0, 1, 0, 0, 0, 1], "PlaneOrientationSequence"),
        "mixed_orientation",
    ),
    "cosines": (_mixed("ImageOrientationPatient", [1, 1, 0, 0, 0, 1], "PlaneOrientationSequence"), "bad_geometry"),
    "spacing": (_mixed("PixelSpacing", [0.5, 0.5], "PixelMeasuresSequence"), "mixed_spacing"),
    "no place": (_without_source_or_place, "no_position"),
    "no segment": (_without_segment, "bad_pixels"),
}


@pytest.mark.parametrize("what", _DAMAGE)
def test_what_contradicts_itself_is_refused_with_a_reason(tmp_path: Path, what: str) -> None:
    change, code = _DAMAGE[what]
    dataset = seg_dataset("BINARY", [1, 2], [(1, at(0), frame(0)), (2, at(1), frame(1)), (1, at(2), frame(2))])
    change(dataset)
    path = save(dataset, tmp_path / "s.dcm")
    with pytest.raises(ReadError) as caught:
        read_labels(path)
    assert caught.value.code == code
    assert "s.dcm" in caught.value.message


@pytest.mark.parametrize("numbers", [[1, 1], [70000]])
def test_segments_without_numbers_of_their_own_are_refused(tmp_path: Path, numbers: list[int]) -> None:
    dataset = seg_dataset("BINARY", [1] * len(numbers), [(1, at(0), frame(0))])
    if numbers == [70000]:
        del dataset.SegmentSequence[0].SegmentNumber
    with pytest.raises(ReadError, match="number its segments"):
        read_labels(save(dataset, tmp_path / "s.dcm"))


def test_a_truncated_file_is_one_typed_line(tmp_path: Path) -> None:
    path = save(seg_dataset("BINARY", [1], [(1, at(k), frame(k)) for k in range(3)]), tmp_path / "s.dcm")
    content = path.read_bytes()
    for length in range(400, len(content), 97):
        path.write_bytes(content[:length])
        with pytest.raises(ReadError, match=r"s\.dcm"):
            read_labels(path)


def test_a_grid_of_absurd_length_is_not_made(tmp_path: Path) -> None:
    frames = [(1, at(0), frame(0)), (1, at(0.001), frame(1)), (1, at(3000), frame(2))]
    labels = read_labels(save(seg_dataset("BINARY", [1], frames), tmp_path / "s.dcm"))
    assert labels.geometry.shape_kji[0] == 3


def test_positions_within_rounding_are_one_slice(tmp_path: Path) -> None:
    x, y, z = at(0)
    frames = [(1, (x, y, z), frame(0)), (2, (x, y, z + 4e-4), 1 - frame(0)), (1, at(1), frame(1))]
    labels = read_labels(save(seg_dataset("BINARY", [1, 2], frames), tmp_path / "s.dcm"))
    assert labels.geometry.shape_kji == (2, 6, 7)
    assert (labels.array[0] > 0).all()


def test_a_bare_file_without_a_file_meta_group_is_a_mask_as_well(tmp_path: Path) -> None:
    dataset = seg_dataset("BINARY", [1], [(1, at(0), frame(0))])
    path = save(dataset, tmp_path / "s.dcm")
    content = path.read_bytes()
    path.write_bytes(content[content.index(b"\x08\x00\x16\x00") :])
    np.testing.assert_array_equal(read_labels(path).array[0], frame(0))


def _encoded(dataset: FileDataset, syntax: UID, streams: list[bytes], path: Path) -> Path:
    dataset.PixelData = encapsulate(streams)
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    return save(dataset, path)


def test_a_stream_is_not_decoded_when_it_claims_another_size_or_too_many_tiles(
    tmp_path: Path, shared_data: Path
) -> None:
    source = pydicom.dcmread(shared_data / "dicom-codecs/pydicom-data/liver_j2k.dcm")
    streams = list(generate_frames(source.PixelData, number_of_frames=3))
    heights = (
        streams[0][:12] + (1 << 31).to_bytes(4, "big") + streams[0][16:],
        streams[0][:24] + (1).to_bytes(4, "big") + (1).to_bytes(4, "big") + streams[0][32:],
        streams[0][:24] + bytes(8) + streams[0][32:],
        streams[0][:30],
    )
    for damaged in heights:
        path = _encoded(source, JPEG2000Lossless, [damaged, *streams[1:]], tmp_path / "s.dcm")
        with pytest.raises(ReadError) as caught:
            read_labels(path)
        assert caught.value.code == "bad_pixels"


@pytest.mark.parametrize("stream", [b"\xff\xd8\xff\xf7\0\x0b\x08\xff\xff\xff\xff\x01\x01\x11\0", b"\xff\xd8\xff\xd9"])
def test_a_jpeg_ls_stream_of_another_size_is_refused(tmp_path: Path, stream: bytes) -> None:
    dataset = seg_dataset("LABELMAP", [1], [(None, at(0), frame(0))], 8)
    with pytest.raises(ReadError) as caught:
        read_labels(_encoded(dataset, JPEGLSLossless, [stream], tmp_path / "s.dcm"))
    assert caught.value.code == "bad_pixels"


def test_fewer_streams_than_frames_are_refused(tmp_path: Path) -> None:
    dataset = seg_dataset("LABELMAP", [1], [(None, at(k), frame(k)) for k in range(3)], 8)
    with pytest.raises(ReadError, match="cannot be decoded"):
        read_labels(_encoded(dataset, RLELossless, [b"\1\0\0\0\x40\0\0\0"], tmp_path / "s.dcm"))


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"])
def test_implicit_big_endian_and_deflated_files(tmp_path: Path, syntax: str) -> None:
    planes = [frame(k).astype(np.uint16) * 700 for k in range(3)]
    dataset = seg_dataset("LABELMAP", [700], [(None, at(k), planes[k]) for k in range(3)], 16)
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    if syntax.endswith(".2.2"):
        dataset.PixelData = np.stack(planes).astype(">u2").tobytes()
    path = tmp_path / "s.dcm"
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    np.testing.assert_array_equal(read_labels(path).array, np.stack(planes))
