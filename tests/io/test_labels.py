"""Masks: values, names, colours and layers survive every round trip that can hold them."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from PIL import Image

from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.core.labels import Code, Concept, Label, LabelMap, LabelTable
from segdesk.errors import GeometryMismatch, InvalidMask, ReadError, UsageError, WriteError
from segdesk.io import read_labels, require_same_grid, write_labels
from segdesk.io.label_json import table_from_json
from segdesk.io.slicer_terms import concept_of_tags
from tests.builders import oblique_geometry, sheared_geometry
from tests.io.dicom_maker import axial, write_series

_TABLE = LabelTable([Label(1, "Leber", (10, 20, 30)), Label(7, 'Milz "links" \\ ü脳', (200, 0, 255))])
_NAMED = ("a.nii", "a.nii.gz", "a.nrrd", "a.seg.nrrd")
_ALL = (*_NAMED, "a.mha", "a.tif")


def _labels(highest: int = 7, geometry: Geometry | None = None) -> LabelMap:
    grid = geometry or oblique_geometry()
    array = np.random.default_rng(4).choice([0, 1, highest], grid.shape_kji)
    return LabelMap.of(array, grid, _TABLE)


@pytest.mark.parametrize("name", _ALL)
@pytest.mark.parametrize("highest", [7, 300, 65535])
def test_values_survive(tmp_path: Path, name: str, highest: int) -> None:
    labels = _labels(highest)
    write_labels(labels, tmp_path / name)
    back = read_labels(tmp_path / name)
    np.testing.assert_array_equal(back.array, labels.array)
    assert back.array.dtype == (np.uint8 if highest <= 255 else np.uint16)


@pytest.mark.parametrize("name", _NAMED)
def test_names_and_colours_survive(tmp_path: Path, name: str) -> None:
    write_labels(_labels(), tmp_path / name)
    assert read_labels(tmp_path / name).table == _TABLE


@pytest.mark.parametrize("name", _ALL)
def test_an_empty_mask_is_valid(tmp_path: Path, name: str) -> None:
    write_labels(LabelMap.empty(oblique_geometry()), tmp_path / name)
    back = read_labels(tmp_path / name)
    assert back.values() == ()
    assert back.array.shape == oblique_geometry().shape_kji


@pytest.mark.parametrize("name", ["a.nii.gz", "a.seg.nrrd", "a.mha"])
def test_the_place_survives(tmp_path: Path, name: str) -> None:
    write_labels(_labels(), tmp_path / name)
    require_same_grid(read_labels(tmp_path / name).geometry, oblique_geometry())


def test_overlapping_segments_stay_in_layers(tmp_path: Path) -> None:
    first = _labels()
    second = np.zeros_like(first.array)
    second[2:4] = 3
    labels = LabelMap((first.array, second), first.geometry, _TABLE.with_label(Label(3, "Tumour", (1, 2, 3))))
    write_labels(labels, tmp_path / "a.seg.nrrd")
    back = read_labels(tmp_path / "a.seg.nrrd")
    assert len(back.layers) == 2
    for one, other in zip(back.layers, labels.layers, strict=True):
        np.testing.assert_array_equal(one, other)
    assert back.table == labels.table
    with pytest.raises(WriteError, match="overlapping"):
        write_labels(labels, tmp_path / "a.nii.gz")


def test_slicers_layers_that_reuse_a_value_are_told_apart(tmp_path: Path) -> None:
    layers = np.zeros((4, 3, 2, 2), np.uint8)
    layers[0, 0, :, 0] = layers[1, 0, :, 1] = 1
    image = SimpleITK.GetImageFromArray(layers, isVector=True)
    for n, name in enumerate(("Liver", "Tumour")):
        for key, value in {"ID": f"S{n}", "Name": name, "LabelValue": "1", "Layer": str(n), "Color": "1 0.5 0"}.items():
            image.SetMetaData(f"Segment{n}_{key}", value)
    SimpleITK.WriteImage(image, str(tmp_path / "slicer.seg.nrrd"))
    labels = read_labels(tmp_path / "slicer.seg.nrrd")
    assert [label.name for label in labels.table] == ["Liver", "Tumour"]
    assert labels.table[1].colour_rgb == (255, 128, 0)
    np.testing.assert_array_equal(labels.layers[0] == 1, layers[..., 0] == 1)
    np.testing.assert_array_equal(labels.layers[1] == 2, layers[..., 1] == 1)


def test_segments_of_older_slicers_are_a_layer_each(tmp_path: Path) -> None:
    layers = np.zeros((4, 3, 2, 3), np.uint8)
    layers[0, 0, :, 0] = layers[1, 0, :, 1] = layers[0, :, 0, 2] = 1
    image = SimpleITK.GetImageFromArray(layers, isVector=True)
    for n, name in enumerate(("Liver", "Tumour", "Vessel")):
        image.SetMetaData(f"Segment{n}_ID", f"S{n}")
        image.SetMetaData(f"Segment{n}_Name", name)
    SimpleITK.WriteImage(image, str(tmp_path / "slicer48.seg.nrrd"))
    labels = read_labels(tmp_path / "slicer48.seg.nrrd")
    assert [label.name for label in labels.table] == ["Liver", "Tumour", "Vessel"]
    for n, label in enumerate(labels.table):
        drawn = np.any([layer == label.value for layer in labels.layers], axis=0)
        np.testing.assert_array_equal(drawn, layers[..., n] == 1)


@pytest.mark.parametrize("name", ["C:\\new\\", "two\nlines", "\\\\n"])
def test_backslashes_and_line_ends_in_names_survive(tmp_path: Path, name: str) -> None:
    table = LabelTable([Label(1, name, (1, 2, 3))])
    labels = LabelMap.of(np.ones((2, 3, 4), np.uint8), Geometry.from_spacing((2, 3, 4)), table)
    write_labels(labels, tmp_path / "a.seg.nrrd")
    assert read_labels(tmp_path / "a.seg.nrrd").table == table
    assert SimpleITK.ReadImage(str(tmp_path / "a.seg.nrrd")).GetMetaData("Segment0_Name") == name


def test_others_read_our_masks(tmp_path: Path) -> None:
    labels = _labels()
    for name in ("a.nii.gz", "a.seg.nrrd", "a.mha"):
        write_labels(labels, tmp_path / name)
        image = SimpleITK.ReadImage(str(tmp_path / name))
        np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), labels.array)
        there = image.TransformIndexToPhysicalPoint((3, 2, 1))
        np.testing.assert_allclose(there, labels.geometry.index_to_lps((1, 2, 3)), atol=1e-3)
    assert SimpleITK.ReadImage(str(tmp_path / "a.seg.nrrd")).GetMetaData("Segment0_Name") == "Leber"


def test_a_scaled_mask_is_rounded_not_cut(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.array([[[0, 3]]], np.int32), np.eye(4))
    nibabel.save(image, tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[112:120] = np.array([0.33333332, 0], np.float32).tobytes()
    (tmp_path / "a.nii").write_bytes(raw)
    assert read_labels(tmp_path / "a.nii").values() == (1,)


@pytest.mark.parametrize("array", [np.full((1, 1, 2), 0.5, np.float32), np.array([[[-1, 2]]], np.int16)])
def test_what_is_no_mask_is_refused_by_name(tmp_path: Path, array: np.ndarray) -> None:
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / "prob.nii")
    with pytest.raises(InvalidMask, match=r"prob\.nii"):
        read_labels(tmp_path / "prob.nii")


def test_a_time_series_and_a_colour_image_are_no_masks(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2, 3), np.uint8), np.eye(4)), tmp_path / "t.nii")
    with pytest.raises(InvalidMask, match="time points"):
        read_labels(tmp_path / "t.nii")
    Image.fromarray(np.random.default_rng(0).integers(0, 9, (4, 4, 3), np.uint8)).save(tmp_path / "c.png")
    with pytest.raises(InvalidMask, match="colour"):
        read_labels(tmp_path / "c.png")


def test_png_masks_keep_indices_grey_and_16_bit(tmp_path: Path) -> None:
    values = np.array([[0, 1], [2, 0]], np.uint8)
    indexed = Image.frombytes("P", (2, 2), values.tobytes())
    indexed.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    indexed.save(tmp_path / "p.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "p.png").array[0], values)
    Image.fromarray(np.repeat(values[..., None], 3, -1)).save(tmp_path / "g.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "g.png").array[0], values)
    grid = Geometry.from_spacing((1, 2, 2))
    write_labels(LabelMap.of(values[None].astype(np.uint16) * 300, grid), tmp_path / "w.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "w.png")), values.astype(np.uint16) * 300)


def test_a_png_takes_one_slice_only(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="one slice"):
        write_labels(_labels(), tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_a_sheared_mask_is_refused_where_readers_refuse_it(tmp_path: Path, name: str) -> None:
    labels = LabelMap.empty(sheared_geometry())
    with pytest.raises(WriteError) as caught:
        write_labels(labels, tmp_path / name)
    assert caught.value.code == "no_shear_in_format"
    write_labels(labels, tmp_path / "a.nii.gz")
    require_same_grid(read_labels(tmp_path / "a.nii.gz").geometry, sheared_geometry())


def test_an_irregular_stack_is_never_written_as_a_grid(tmp_path: Path) -> None:
    affines = np.zeros((2, 4, 3))
    affines[:, :3, :2] = np.eye(3)[:, :2]
    stack = SliceStackGeometry((2, 3, 4), affines, np.ones(2))
    with pytest.raises(WriteError) as caught:
        write_labels(LabelMap.empty(stack), tmp_path / "a.nii.gz")
    assert caught.value.code == "no_shear_in_format"


@pytest.mark.parametrize("name", ["a.txt", "a"])
def test_an_unknown_extension_names_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"\.nii\.gz") as caught:
        write_labels(_labels(), tmp_path / name)
    assert caught.value.code == "unsupported_format"


def test_dicom_with_whole_numbers_is_a_mask(tmp_path: Path) -> None:
    write_series(tmp_path, axial(0, 5), lambda d, n: setattr(d, "PixelData", bytes([1, 0]) * 30))
    assert read_labels(tmp_path).values() == (1,)


def test_the_crop_under_its_parents_origin_is_not_the_same_grid(shared_data: Path) -> None:
    folder = shared_data / "ct-totalsegmentator"
    mask = read_labels(folder / "example_seg.nii.gz")
    assert max(mask.values()) <= 117
    with pytest.raises(GeometryMismatch):
        require_same_grid(mask.geometry, read_labels(folder / "spine_report/totalseg.nii.gz").geometry)


def test_the_brain_mask_with_a_scale_factor_is_not_emptied(shared_data: Path) -> None:
    mask = read_labels(shared_data / "brats2015/brats_2013_pat0005_1/brainmask.nii.gz")
    assert mask.values() == (1,)
    assert int(np.count_nonzero(mask.array)) > 1_000_000


def test_the_twins_of_gapped_segments_keep_their_numbers(shared_data: Path) -> None:
    folder = shared_data / "dicom-seg-rtstruct/dcmqi/segmentations"
    assert read_labels(folder / "liver_spine_gapped_seg.nrrd").values() == (1, 5)


def test_a_damaged_mask_is_one_typed_line(tmp_path: Path) -> None:
    write_labels(_labels(), tmp_path / "a.seg.nrrd")
    content = (tmp_path / "a.seg.nrrd").read_bytes()
    (tmp_path / "a.seg.nrrd").write_bytes(content[:-40])
    with pytest.raises(ReadError) as caught:
        read_labels(tmp_path / "a.seg.nrrd")
    assert caught.value.code == "truncated"


_CODED = LabelTable(
    [
        Label(
            2,
            "left kidney",
            (1, 2, 3),
            Concept(Code("64033007", "SCT", "Kidney"), modifier=Code("7771000", "SCT", "Left")),
        ),
        Label(
            3,
            "lesion",
            (4, 5, 6),
            Concept(
                Code("108369006", "SCT", "Neoplasm"),
                Code("49755003", "SCT", "Morphologically ~Altered^ | 50 % Structure"),
                region=Code("T-71000", "SRT", "Kidney"),
            ),
        ),
    ]
)


@pytest.mark.parametrize("name", _NAMED)
def test_coded_meanings_survive(tmp_path: Path, name: str) -> None:
    grid = oblique_geometry()
    write_labels(LabelMap.of(np.full(grid.shape_kji, 3), grid, _CODED), tmp_path / name)
    assert read_labels(tmp_path / name).table == _CODED


def test_slicers_terms_are_read_and_other_tags_are_left(tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(np.ones((1, 2, 2), np.uint8))
    term = (
        "Segmentation category and type - 3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure"
        "~SCT^10200004^Liver~^^~Anatomic codes - DICOM master list~^^~^^"
    )
    for key, value in {
        "ID": "S",
        "LabelValue": "1",
        "Tags": f"Segmentation.Status:inprogress|TerminologyEntry:{term}|",
    }.items():
        image.SetMetaData(f"Segment0_{key}", value)
    SimpleITK.WriteImage(image, str(tmp_path / "slicer.seg.nrrd"))
    concept = read_labels(tmp_path / "slicer.seg.nrrd").table[1].concept
    assert concept == Concept(
        Code("10200004", "SCT", "Liver"), Code("123037004", "SCT", "Anatomical Structure"), None, None
    )


@pytest.mark.parametrize("tags", ["", "Segmentation.Status:done|", "TerminologyEntry:~~|", "TerminologyEntry:a|"])
def test_tags_without_a_term_give_no_meaning(tags: str) -> None:
    assert concept_of_tags(tags) is None


def test_damaged_codes_do_not_break_a_table() -> None:
    row = '{"segdesk_labels":[{"value":1,"name":"a","colour":[1,2,3],"concept":%s}]}'
    assert table_from_json(row % '{"type": {"value": "1"}}') is None
    assert table_from_json(row % '"liver"') is None
    assert table_from_json(row % "{}") is None
