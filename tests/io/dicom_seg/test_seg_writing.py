"""DICOM Segmentation we write: other programs read the same voxels at the same places."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest

from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.core.labels import Code, Concept, Label, LabelMap, LabelTable
from segdesk.core.placement import lay_on
from segdesk.core.provenance import Origin, OriginKind
from segdesk.errors import GeometryMismatch, ReadError, UsageError, WriteError
from segdesk.io import read_labels, read_volume, write_labels
from tests.io.dicom_maker import enhanced, slice_dataset
from tests.io.dicom_seg.sources import (
    SHAPE,
    affine_of,
    assert_same_voxels,
    dciodvfy_errors,
    dcmqi_voxels,
    highdicom_voxels,
    in_order,
    oblique,
    raw_voxels,
    right_angled,
    save,
    voxels_of,
    write_source,
)

AXIAL = ([1, 0, 0], [0, 1, 0])
TILTED = affine_of(*AXIAL, step_lps=(0.0, 1.0, 3.0))
TILTED_OBLIQUE = affine_of(*oblique(), step_lps=np.cross(*oblique()) * 3.0 + np.array(oblique()[1]) * 1.2)
LIVER = Label(1, "Leber", (221, 130, 101), Concept(Code("10200004", "SCT", "Liver")))
SIDED = Label(
    2,
    "linke Niere",
    (0, 151, 206),
    Concept(
        Code("64033007", "SCT", "Kidney"),
        Code("123037004", "SCT", "Anatomical Structure"),
        Code("7771000", "SCT", "Left"),
        Code("T-D4000", "SRT", "Abdomen"),
    ),
)
TABLE = LabelTable([LIVER, SIDED])


def masked(shape: tuple[int, int, int] = SHAPE, seed: int = 3) -> np.ndarray:
    """Two labels without any symmetry, on inner slices only."""
    array = np.random.default_rng(seed).choice(np.array([0, 0, 0, 1, 2], np.uint8), shape)
    array[0] = array[-1] = 0
    return array


def written(tmp_path: Path, affine: Any, **options: Any) -> tuple[Path, np.ndarray]:
    """Write a source with raw pydicom and our mask of it; return file and voxels."""
    write_source(tmp_path / "ct", affine)
    array = masked()
    labels = LabelMap.of(array, Geometry(SHAPE, affine), TABLE)
    write_labels(labels, tmp_path / "seg.dcm", reference=tmp_path / "ct", **options)
    return tmp_path / "seg.dcm", array


@pytest.mark.parametrize(("row", "column"), right_angled(), ids=str)
def test_highdicom_reads_every_right_angled_orientation(tmp_path: Path, row: Any, column: Any) -> None:
    affine = affine_of(row, column)
    path, array = written(tmp_path, affine)
    found = highdicom_voxels(path)
    for number in (1, 2):
        assert_same_voxels(found[number], voxels_of(array == number, affine))


@pytest.mark.parametrize(("row", "column"), [*right_angled()[::5], oblique(), oblique(170.0, -65.0)], ids=str)
def test_dcmqi_reads_mirrored_and_oblique_orientations(tmp_path: Path, row: Any, column: Any) -> None:
    affine = affine_of(row, column)
    path, array = written(tmp_path, affine)
    found = dcmqi_voxels(path, tmp_path / "dcmqi")
    for number in (1, 2):
        assert_same_voxels(found[number], voxels_of(array == number, affine))


@pytest.mark.parametrize("affine", [TILTED, TILTED_OBLIQUE, affine_of(*oblique())], ids=["tilt", "both", "oblique"])
def test_frames_keep_their_exact_positions_also_when_tilted(tmp_path: Path, affine: Any) -> None:
    path, array = written(tmp_path, affine)
    found = raw_voxels(path)
    for number in (1, 2):
        assert_same_voxels(found[number], voxels_of(array == number, affine))
    assert dciodvfy_errors(path) == []
    back = read_labels(path)
    np.testing.assert_array_equal(back.array, array)
    assert back.geometry.matches(Geometry(SHAPE, affine))


def test_an_irregular_series_keeps_the_place_of_each_slice(tmp_path: Path) -> None:
    affine, offsets = affine_of(*oblique()), [0, 1, 2.37, 3, 7.11]
    write_source(tmp_path / "ct", affine, offsets)
    volume = read_volume(tmp_path / "ct", as_stack=True)
    assert isinstance(volume.geometry, SliceStackGeometry)
    array = masked()
    write_labels(LabelMap.of(array, volume.geometry, TABLE), tmp_path / "s.dcm", reference=tmp_path / "ct")
    index = np.argwhere(array == 1)
    places = np.column_stack([np.array(offsets)[index[:, 0]], index[:, 1:]]) @ affine[:3, :3].T + affine[:3, 3]
    assert_same_voxels(raw_voxels(tmp_path / "s.dcm")[1], in_order(places))
    assert dciodvfy_errors(tmp_path / "s.dcm") == []
    back = read_labels(tmp_path / "s.dcm")
    assert back.geometry.matches(volume.geometry)
    np.testing.assert_array_equal(back.array, array)


@pytest.mark.parametrize("seg_type", ["binary", "labelmap"])
def test_numbers_names_colours_and_codes_survive(tmp_path: Path, seg_type: str) -> None:
    write_source(tmp_path / "ct", affine_of(*AXIAL))
    names = ["Leber", "a\\b", "x" * 80, "脳"]
    known = Concept(Code("10200004", "SCT", "Liver"), Code("123037004", "SCT", "Anatomical Structure"))
    labels = [
        Label(value, name, (value % 256, 7, 250), known) for value, name in zip((1, 7, 300, 65535), names, strict=True)
    ]
    array = np.zeros(SHAPE, np.uint16)
    array[1, 2, 3], array[3, 1, 1], array[2, 2, 2] = 7, 300, 65535
    before = LabelMap.of(array, Geometry(SHAPE, affine_of(*AXIAL)), LabelTable(labels))
    write_labels(before, tmp_path / "s.dcm", reference=tmp_path / "ct", seg_type=seg_type)
    back = read_labels(tmp_path / "s.dcm")
    np.testing.assert_array_equal(back.array, array)
    assert back.array.dtype == np.uint16
    assert back.table == before.table


def test_codes_are_snomed_and_read_by_highdicom(tmp_path: Path) -> None:
    write_source(tmp_path / "ct", affine_of(*AXIAL))
    unnamed = LabelMap.of(masked() + (masked() == 0) * np.uint8(3), Geometry(SHAPE, affine_of(*AXIAL)), TABLE)
    write_labels(unnamed, tmp_path / "s.dcm", reference=tmp_path / "ct")
    seg = highdicom.seg.segread(tmp_path / "s.dcm")
    liver, kidney, other = (seg.get_segment_description(number) for number in (1, 2, 3))
    assert liver.segmented_property_type == highdicom.sr.CodedConcept("10200004", "SCT", "Liver")
    assert kidney.segmented_property_category == highdicom.sr.CodedConcept("123037004", "SCT", "Anatomical Structure")
    assert (
        kidney.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0].CodeValue == "7771000"
    )
    assert kidney.anatomic_regions[0].value == "T-D4000"
    assert other.segmented_property_type == highdicom.sr.CodedConcept("85756007", "SCT", "Tissue")
    assert other.segment_label == "Label 3"


def test_highdicom_reads_our_label_map(tmp_path: Path) -> None:
    affine = affine_of(*oblique())
    path, array = written(tmp_path, affine, seg_type="labelmap")
    seg = highdicom.seg.segread(path)
    volume = seg.get_volume(combine_segments=True)
    for number in (1, 2):
        assert_same_voxels(voxels_of(volume.array == number, volume.affine), voxels_of(array == number, affine))


def test_overlapping_layers_are_written_as_they_are(tmp_path: Path) -> None:
    affine = affine_of(*oblique())
    write_source(tmp_path / "ct", affine)
    one, two = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    one[1:3, 1:4, 2:5], two[2:4, 2:6, 3:6] = 1, 2
    labels = LabelMap((one, two), Geometry(SHAPE, affine), TABLE)
    write_labels(labels, tmp_path / "s.dcm", reference=tmp_path / "ct")
    assert pydicom.dcmread(tmp_path / "s.dcm").SegmentsOverlap == "YES"
    assert dciodvfy_errors(tmp_path / "s.dcm") == []
    for found in (dcmqi_voxels(tmp_path / "s.dcm", tmp_path / "q"), highdicom_voxels(tmp_path / "s.dcm")):
        assert_same_voxels(found[1], voxels_of(one == 1, affine))
        assert_same_voxels(found[2], voxels_of(two == 2, affine))
    back = read_labels(tmp_path / "s.dcm")
    assert len(back.layers) == 2
    np.testing.assert_array_equal(back.layers[1], two)
    with pytest.raises(WriteError, match="overlap"):
        write_labels(labels, tmp_path / "m.dcm", reference=tmp_path / "ct", seg_type="labelmap")
    with pytest.raises(WriteError, match="flatten"):
        write_labels(labels, tmp_path / "m.nii.gz")
    assert not (tmp_path / "m.dcm").exists()


def test_layers_that_do_not_overlap_fit_a_label_map(tmp_path: Path) -> None:
    affine = affine_of(*AXIAL)
    write_source(tmp_path / "ct", affine)
    array = masked()
    layers = (np.where(array == 1, array, 0), np.where(array == 2, array, 0))
    write_labels(
        LabelMap(layers, Geometry(SHAPE, affine), TABLE),
        tmp_path / "s.dcm",
        reference=tmp_path / "ct",
        seg_type="labelmap",
    )
    np.testing.assert_array_equal(read_labels(tmp_path / "s.dcm").array, array)


@pytest.mark.parametrize("seg_type", ["binary", "labelmap"])
@pytest.mark.parametrize("table", [LabelTable(), TABLE], ids=["no labels", "labels"])
def test_an_empty_mask_is_valid(tmp_path: Path, seg_type: str, table: LabelTable) -> None:
    affine = affine_of(*AXIAL)
    write_source(tmp_path / "ct", affine)
    empty = LabelMap.empty(Geometry(SHAPE, affine), table)
    write_labels(empty, tmp_path / "s.dcm", reference=tmp_path / "ct", seg_type=seg_type)
    back = read_labels(tmp_path / "s.dcm")
    assert back.values() == ()
    assert [label.name for label in back.table] == [label.name for label in table]
    assert back.geometry.matches(empty.geometry)
    assert not pydicom.dcmread(tmp_path / "s.dcm").pixel_array.any()
    if seg_type == "binary":
        assert dciodvfy_errors(tmp_path / "s.dcm") == []
        assert all(len(found) == 0 for found in highdicom_voxels(tmp_path / "s.dcm").values())


def test_what_belongs_to_patient_study_and_image_is_taken_over(tmp_path: Path) -> None:
    sources = write_source(tmp_path / "ct", affine_of(*AXIAL))
    path, _ = written(tmp_path / "again", affine_of(*AXIAL))
    seg, first = pydicom.dcmread(path), sources[0]
    assert dciodvfy_errors(path) == []
    assert str(seg.PatientName) == "Müller^Änne"
    assert (seg.PatientID, seg.StudyInstanceUID) == (first.PatientID, first.StudyInstanceUID)
    assert (seg.FrameOfReferenceUID, seg.Modality) == (first.FrameOfReferenceUID, "SEG")
    assert seg.ContentCreatorName == ""
    assert (seg.Manufacturer, seg.AccessionNumber) == ("segdesk", "")
    series = seg.ReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == first.SeriesInstanceUID
    assert len({item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence}) == SHAPE[0]
    by_position = {
        tuple(map(float, each.ImagePositionPatient)): each.SOPInstanceUID
        for each in map(pydicom.dcmread, (tmp_path / "again" / "ct").iterdir())
    }
    for group in seg.PerFrameFunctionalGroupsSequence:
        source = group.DerivationImageSequence[0].SourceImageSequence[0]
        position = tuple(map(float, group.PlanePositionSequence[0].ImagePositionPatient))
        assert source.ReferencedSOPInstanceUID == by_position[position]
        assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"


def test_row_and_column_spacing_are_not_swapped(tmp_path: Path) -> None:
    path, _ = written(tmp_path, affine_of(*AXIAL))
    measures = pydicom.dcmread(path).SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert [float(x) for x in measures.PixelSpacing] == [0.8, 0.7]
    assert (float(measures.SliceThickness), float(measures.SpacingBetweenSlices)) == (2.5, 3.0)


def test_frames_exist_where_pixels_do_and_at_both_ends_of_the_image(tmp_path: Path) -> None:
    write_source(tmp_path / "ct", affine_of(*AXIAL))
    array = np.zeros(SHAPE, np.uint8)
    array[2, 1, 1] = 1
    write_labels(LabelMap.of(array, Geometry(SHAPE, affine_of(*AXIAL))), tmp_path / "s.dcm", reference=tmp_path / "ct")
    assert pydicom.dcmread(tmp_path / "s.dcm").NumberOfFrames == 3
    np.testing.assert_array_equal(read_labels(tmp_path / "s.dcm").array, array)


@pytest.mark.parametrize(
    ("kind", "how", "name"),
    [
        (OriginKind.HUMAN, "MANUAL", None),
        (OriginKind.MODEL, "AUTOMATIC", "unet 1"),
        (OriginKind.CONSENSUS, "SEMIAUTOMATIC", "unet 1"),
    ],
)
def test_how_a_mask_was_made_is_said(tmp_path: Path, kind: OriginKind, how: str, name: str | None) -> None:
    write_source(tmp_path / "ct", affine_of(*AXIAL))
    labels = LabelMap.of(masked(), Geometry(SHAPE, affine_of(*AXIAL)))
    labels.origin = Origin(kind, "unet\\1")
    write_labels(labels, tmp_path / "s.dcm", reference=tmp_path / "ct")
    segment = pydicom.dcmread(tmp_path / "s.dcm").SegmentSequence[0]
    assert segment.SegmentAlgorithmType == how
    assert segment.get("SegmentAlgorithmName") == name


def test_a_mask_stored_along_other_axes_is_turned_onto_the_image(tmp_path: Path) -> None:
    affine = affine_of(*oblique())
    write_source(tmp_path / "ct", affine)
    array = masked()
    turned = array[::-1, :, ::-1].transpose(2, 0, 1)
    # Turned index (i', k', j') to the image's: k = 4 - k', j = j', i = 6 - i'.
    index = np.array([[0, -1, 0, 4], [0, 0, 1, 0], [-1, 0, 0, 6], [0, 0, 0, 1.0]])
    other = Geometry(turned.shape, affine @ index)
    mask = LabelMap.of(turned, other, TABLE)
    assert_same_voxels(voxels_of(turned == 1, other.affine_kji_to_lps), voxels_of(array == 1, affine))
    write_labels(mask, tmp_path / "s.dcm", reference=tmp_path / "ct")
    np.testing.assert_array_equal(read_labels(tmp_path / "s.dcm").array, array)
    assert_same_voxels(raw_voxels(tmp_path / "s.dcm")[2], voxels_of(array == 2, affine))


def test_a_mask_of_another_place_is_refused_and_nothing_written(tmp_path: Path) -> None:
    affine = affine_of(*AXIAL)
    write_source(tmp_path / "ct", affine)
    shifted = affine.copy()
    shifted[0, 3] += 0.01
    with pytest.raises(GeometryMismatch, match="beside"):
        write_labels(LabelMap.of(masked(), Geometry(SHAPE, shifted)), tmp_path / "s.dcm", reference=tmp_path / "ct")
    assert not (tmp_path / "s.dcm").exists()


def test_writing_dicom_needs_its_image(tmp_path: Path) -> None:
    labels = LabelMap.of(masked(), Geometry(SHAPE, affine_of(*AXIAL)))
    with pytest.raises(UsageError) as caught:
        write_labels(labels, tmp_path / "s.dcm")
    assert caught.value.code == "no_reference"
    write_labels(labels, tmp_path / "m.nii.gz")
    with pytest.raises(ReadError) as refused:
        write_labels(labels, tmp_path / "s.dcm", reference=tmp_path / "m.nii.gz")
    assert refused.value.code == "no_reference"
    with pytest.raises(UsageError, match="binary, labelmap"):
        write_labels(labels, tmp_path / "s.dcm", reference=tmp_path, seg_type="fractional")


def test_an_image_without_a_study_is_refused(tmp_path: Path) -> None:
    def without_study(dataset: Any, n: int) -> None:
        del dataset.StudyInstanceUID

    write_source(tmp_path / "ct", affine_of(*AXIAL), edit=without_study)
    with pytest.raises(WriteError, match="StudyInstanceUID"):
        write_labels(
            LabelMap.of(masked(), Geometry(SHAPE, affine_of(*AXIAL))), tmp_path / "s.dcm", reference=tmp_path / "ct"
        )


def test_images_again_and_again_of_one_position_are_refused(tmp_path: Path) -> None:
    write_source(tmp_path / "ct", affine_of(*AXIAL), [0, 0, 0])
    run = read_volume(tmp_path / "ct", as_stack=True)
    with pytest.raises(WriteError, match="at one position"):
        write_labels(LabelMap.empty(run.geometry), tmp_path / "s.dcm", reference=tmp_path / "ct")


def test_malformed_values_of_the_image_are_not_spread(tmp_path: Path) -> None:
    def careless(dataset: Any, n: int) -> None:
        dataset.add_new(0x00101010, "AS", "0Y")
        dataset.add_new(0x00080030, "TM", "15:18:59")
        dataset.add_new(0x00080050, "SH", "an accession number that is too long")
        dataset.PatientIdentityRemoved = "YES"

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_source(tmp_path / "ct", affine_of(*AXIAL), edit=careless)
    labels = LabelMap.of(masked(), Geometry(SHAPE, affine_of(*AXIAL)))
    write_labels(labels, tmp_path / "s.dcm", reference=tmp_path / "ct")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seg = pydicom.dcmread(tmp_path / "s.dcm")
        assert "PatientAge" not in seg
        assert "PatientIdentityRemoved" not in seg
        assert seg.StudyTime == ""
        assert seg.AccessionNumber == "an accession number that is too long"


def test_a_frame_of_an_enhanced_image_is_named_by_its_number(tmp_path: Path) -> None:
    positions = [(-10.0, -20.0, 5.0 * k) for k in range(4)]
    save(enhanced(positions, np.zeros((4, 5, 6), np.int16)), tmp_path / "ct.dcm")
    image = read_volume(tmp_path / "ct.dcm")
    array = np.zeros((4, 5, 6), np.uint8)
    array[2, 1, 1] = 1
    write_labels(LabelMap.of(array, image.geometry), tmp_path / "s.dcm", reference=tmp_path / "ct.dcm")
    seg = pydicom.dcmread(tmp_path / "s.dcm")
    frames = [
        group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
        for group in seg.PerFrameFunctionalGroupsSequence
    ]
    assert sorted(frames) == [1, 3, 4]
    assert len(seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1
    assert dciodvfy_errors(tmp_path / "s.dcm") == []


def test_long_and_url_codes_have_elements_of_their_own(tmp_path: Path) -> None:
    write_source(tmp_path / "ct", affine_of(*AXIAL))
    concepts = [Concept(Code("1234567890123456789", "SCT", "Long")), Concept(Code("urn:oid:1.2.3", "", "Url"))]
    rows = [Label(n, f"Part {n}", (1, 2, 3), concept) for n, concept in enumerate(concepts, 1)]
    labels = LabelMap.of(masked(), Geometry(SHAPE, affine_of(*AXIAL)), LabelTable(rows))
    write_labels(labels, tmp_path / "s.dcm", reference=tmp_path / "ct")
    kinds = [item.SegmentedPropertyTypeCodeSequence[0] for item in pydicom.dcmread(tmp_path / "s.dcm").SegmentSequence]
    assert (kinds[0].LongCodeValue, kinds[1].URNCodeValue) == ("1234567890123456789", "urn:oid:1.2.3")
    assert [label.concept.type for label in read_labels(tmp_path / "s.dcm").table] == [each.type for each in concepts]


def test_what_reads_back_differently_never_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_source(tmp_path / "ct", affine_of(*AXIAL))
    labels = LabelMap.of(masked(), Geometry(SHAPE, affine_of(*AXIAL)))

    def damaged(*_: object) -> None:
        raise ReadError("damaged")

    for broken in (damaged, lambda *_: LabelMap.empty(labels.geometry, labels.table)):
        monkeypatch.setattr("segdesk.io.dicom_seg.writer.read_seg", broken)
        with pytest.raises(WriteError) as caught:
            write_labels(labels, tmp_path / "s.dcm", reference=tmp_path / "ct")
        assert caught.value.code == "verify_failed"
        assert not (tmp_path / "s.dcm").exists()


def test_a_film_is_segmented_without_a_place(tmp_path: Path) -> None:
    film = slice_dataset(np.zeros((6, 7), np.int16), (0, 0, 0))
    film.Modality, film.SOPClassUID = "DX", "1.2.840.10008.5.1.4.1.1.1.1"
    film.file_meta.MediaStorageSOPClassUID = film.SOPClassUID
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID"):
        del film[keyword]
    film.save_as(tmp_path / "dx.dcm", enforce_file_format=True)
    image = read_volume(tmp_path / "dx.dcm")
    array = masked((3, 6, 7))[1:2]
    for seg_type in ("binary", "labelmap"):
        path = tmp_path / f"{seg_type}.dcm"
        write_labels(LabelMap.of(array, image.geometry, TABLE), path, reference=tmp_path / "dx.dcm", seg_type=seg_type)
        np.testing.assert_array_equal(read_labels(path, reference=tmp_path / "dx.dcm").array, array)
        assert read_labels(path).warnings[0].code == "orientation_unknown"


def test_the_whole_grid_of_an_image_holds_a_cropped_mask(tmp_path: Path) -> None:
    affine = affine_of(*AXIAL)
    inner = affine.copy()
    inner[:3, 3] += affine[:3, :3] @ (1, 2, 1)
    part = np.ones((2, 3, 4), np.uint8)
    whole = lay_on(LabelMap.of(part, Geometry(part.shape, inner)), Geometry(SHAPE, affine))
    assert int(whole.array.sum()) == 24
    assert whole.array[1:3, 2:5, 1:5].all()


def test_a_tilted_mask_is_read_by_highdicom_slice_by_slice(tmp_path: Path) -> None:
    """Neither highdicom's volume nor dcmqi's image can hold a shear; frames by source image can."""
    path, array = written(tmp_path, TILTED)
    files = [pydicom.dcmread(each) for each in (tmp_path / "ct").iterdir()]
    files.sort(key=lambda each: float(each.ImagePositionPatient[2]))
    seg = highdicom.seg.segread(path)
    pixels = seg.get_pixels_by_source_instance(
        [each.SOPInstanceUID for each in files], combine_segments=True, assert_missing_frames_are_empty=True
    )
    np.testing.assert_array_equal(pixels, array)
