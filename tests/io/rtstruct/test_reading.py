"""Contours made with raw pydicom in patient mm, filled on series of every orientation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian
from skimage.measure import points_in_poly

from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.core.labels import Code, Concept, LabelMap
from segdesk.errors import GeometryMismatch, NeedsConsent, ReadError, UsageError
from segdesk.io import read_labels, read_volume, scan
from segdesk.io.label_tables import read_label_table
from segdesk.io.limits import SizePolicy, use_policy
from tests.io.dicom_maker import slice_dataset
from tests.io.rtstruct.structure_sets import (
    ALL_PLANES,
    DrawnRoi,
    Planes,
    axial,
    closed,
    oblique,
    save,
    square,
    structure_set,
)

_STAR = [(3.3, 14.2), (9.1, 17.4), (15.2, 27.3), (16.8, 15.6), (21.7, 9.2), (12.9, 10.4), (6.2, 2.8)]


def _read(tmp_path: Path, planes: Planes, *rois: DrawnRoi, series: str | None = None) -> LabelMap:
    planes.write(tmp_path / "image")
    path = save(structure_set(rois, **({} if series is None else {"series": series})), tmp_path / "RS.dcm")
    return read_labels(path, reference=tmp_path / "image")


def _inside(polygon: Any, shape: tuple[int, int]) -> NDArray[np.bool_]:
    centres = np.stack(np.mgrid[: shape[0], : shape[1]], axis=-1).reshape(-1, 2)
    return np.asarray(points_in_poly(centres, np.asarray(polygon)).reshape(shape), np.bool_)


def _moved(points: NDArray[np.float64], x: float = 0.0, z: float = 0.0) -> NDArray[np.float64]:
    return points + np.array([x, 0.0, z])


def _codes(labels: LabelMap) -> list[str]:
    return [warning.code for warning in labels.warnings]


@pytest.mark.parametrize("name", ALL_PLANES)
def test_a_contour_lands_on_its_voxels_in_every_orientation(tmp_path: Path, name: str) -> None:
    planes = ALL_PLANES[name]()
    labels = _read(tmp_path, planes, DrawnRoi(4, "star", closed(planes.points(1, _STAR), planes.points(2, _STAR))))
    geometry = labels.geometry
    assert isinstance(geometry, Geometry)
    drawn = {int(k) for k in np.flatnonzero((labels.array == 4).any(axis=(1, 2)))}
    for k in drawn:
        assert np.array_equal(labels.array[k] == 4, _inside(_STAR, planes.shape))
    # Which slices these are: by their place, not by the order the files were made in.
    places = {tuple(np.round(geometry.index_to_lps((k, 0, 0)), 4)) for k in drawn}
    assert places == {tuple(np.round(planes.positions[k], 4)) for k in (1, 2)}
    assert labels.warnings == ()


def test_the_result_lies_on_the_grid_of_the_image(tmp_path: Path) -> None:
    planes = oblique()
    labels = _read(tmp_path, planes, DrawnRoi(1, "star", closed(planes.points(0, _STAR))))
    assert labels.geometry == read_volume(tmp_path / "image").geometry


def test_numbers_names_colours_and_codes_are_kept(tmp_path: Path) -> None:
    planes = axial()
    rois = (
        DrawnRoi(300, "Größe, rechts", closed(planes.points(0, square(2.5, 2.5, 4.5, 4.5))), (1, 2, 3)),
        DrawnRoi(2, "empty", (), (4, 5, 6), code=("10200004", "SCT", "Liver")),
    )
    labels = _read(tmp_path, planes, *rois)
    assert [(each.value, each.name, each.colour_rgb) for each in labels.table] == [
        (2, "empty", (4, 5, 6)),
        (300, "Größe, rechts", (1, 2, 3)),
    ]
    assert labels.table[2].concept == Concept(Code("10200004", "SCT", "Liver"))
    assert labels.values() == (300,)
    assert labels.array.dtype == np.uint16


def test_a_region_without_a_colour_gets_one(tmp_path: Path) -> None:
    labels = _read(tmp_path, axial(), DrawnRoi(3, "a", (), None), DrawnRoi(4, "b", (), (300, -2, 7)))
    assert labels.table[4].colour_rgb == (255, 0, 7)
    assert len(labels.table[3].colour_rgb) == 3


def test_regions_that_overlap_are_kept_in_layers(tmp_path: Path) -> None:
    planes = axial()
    one, two, three = square(1.5, 1.5, 9.5, 9.5), square(5.5, 5.5, 14.5, 14.5), square(12.5, 1.5, 16.5, 4.5)
    labels = _read(
        tmp_path,
        planes,
        *(DrawnRoi(n, str(n), closed(planes.points(2, corners))) for n, corners in enumerate((one, two, three), 1)),
    )
    assert len(labels.layers) == 2
    counts = {value: sum(int((layer == value).sum()) for layer in labels.layers) for value in (1, 2, 3)}
    assert counts == {1: 64, 2: 81, 3: 12}


def test_more_layers_than_may_be_read_without_asking_are_refused(tmp_path: Path) -> None:
    planes = axial()
    rois = [DrawnRoi(n, str(n), closed(planes.points(2, square(1.5, 1.5, 9.5, 9.5)))) for n in (1, 2, 3)]
    with use_policy(SizePolicy(max_bytes=2 * 5 * 24 * 30)), pytest.raises(NeedsConsent):
        _read(tmp_path, planes, *rois)


def test_inner_contours_are_holes_and_so_are_keyholes_and_xor_contours(tmp_path: Path) -> None:
    planes = axial()
    outer, inner = square(1.5, 1.5, 11.5, 11.5), square(4.5, 4.5, 8.5, 8.5)
    keyhole = [*outer, outer[0], inner[0], *inner[::-1], outer[0]]
    labels = _read(
        tmp_path,
        planes,
        DrawnRoi(1, "two contours", closed(planes.points(0, outer), planes.points(0, inner))),
        DrawnRoi(2, "keyhole", closed(planes.points(1, keyhole))),
        DrawnRoi(3, "xor", [("CLOSEDPLANAR_XOR", planes.points(2, each)) for each in (outer, inner)]),
    )
    assert [int((labels.array == value).sum()) for value in (1, 2, 3)] == [84, 84, 84]
    assert labels.warnings == ()


def test_points_and_open_lines_are_left_out_and_said(tmp_path: Path) -> None:
    planes = axial()
    area = planes.points(1, square(1.5, 1.5, 4.5, 4.5))
    labels = _read(
        tmp_path,
        planes,
        DrawnRoi(1, "isocentre", [("POINT", planes.points(1, [(3, 3)]))]),
        DrawnRoi(2, "mixed", [("OPEN_PLANAR", area), ("CLOSED_PLANAR", area)]),
    )
    assert _codes(labels) == ["contours_skipped"]
    assert "isocentre (1), mixed (1)" in labels.warnings[0].message
    assert labels.values() == (2,)
    assert labels.table.values == (1, 2)


def test_slices_without_a_contour_are_named_and_not_filled_in(tmp_path: Path) -> None:
    planes = axial(7)
    corners = square(1.5, 1.5, 4.5, 4.5)
    labels = _read(tmp_path, planes, DrawnRoi(1, "coarse", closed(*(planes.points(k, corners) for k in (0, 2, 4)))))
    assert _codes(labels) == ["contour_gaps"]
    assert "coarse on 2 of 5 slices" in labels.warnings[0].message
    assert np.flatnonzero(labels.array.any(axis=(1, 2))).tolist() == [0, 2, 4]


def test_a_contour_slightly_beside_its_slice_is_taken_to_it(tmp_path: Path) -> None:
    planes = axial()
    corners = planes.points(1, square(1.5, 1.5, 4.5, 4.5))
    quiet = _read(tmp_path, planes, DrawnRoi(1, "rounded", closed(_moved(corners, z=0.05))))
    assert quiet.warnings == ()
    moved = _read(tmp_path, planes, DrawnRoi(1, "moved", closed(_moved(corners, z=0.6))))
    assert _codes(moved) == ["contours_off_slices"]
    assert "moved by 0.6 mm" in moved.warnings[0].message
    assert np.flatnonzero(moved.array.any(axis=(1, 2))).tolist() == [1]


def test_contours_between_slices_are_left_out_never_merged(tmp_path: Path) -> None:
    planes = axial()
    drawn = [planes.points(k, square(1.5, 1.5, 8.5, 8.5)) for k in (1, 2)]
    between = planes.points(1, square(2.5, 2.5, 7.5, 7.5))
    labels = _read(
        tmp_path, planes, DrawnRoi(1, "fine", closed(*drawn, _moved(between, z=1.4), _moved(between, z=0.5)))
    )
    assert _codes(labels) == ["contours_off_slices"]
    assert "fine (2)" in labels.warnings[0].message
    assert int((labels.array == 1).sum()) == 2 * 49


def test_contours_on_both_sides_of_a_slice_are_not_holes_of_each_other(tmp_path: Path) -> None:
    planes = axial()
    outer, inner = (planes.points(2, square(a, a, 10 - a, 10 - a)) for a in (1.5, 3.5))
    labels = _read(tmp_path, planes, DrawnRoi(1, "a", closed(_moved(outer, z=0.5), _moved(inner, z=-0.6))))
    assert int((labels.array == 1).sum()) == 49


def test_contours_of_another_spacing_are_refused(tmp_path: Path) -> None:
    planes, other = axial(5, 3.0), axial(9, 1.3)
    drawn = [other.points(k, square(1.5, 1.5, 8.5, 8.5)) for k in range(1, 9)]
    with pytest.raises(GeometryMismatch, match="between the image's slices"):
        _read(tmp_path, planes, DrawnRoi(1, "other", closed(*drawn)))


def test_contours_across_the_slices_lie_on_none(tmp_path: Path) -> None:
    planes = axial()
    upright = np.array([[-5.0, -15.0, 30.0], [-5.0, -12.0, 30.0], [-5.0, -12.0, 42.0], [-5.0, -15.0, 42.0]])
    with pytest.raises(GeometryMismatch, match="between"):
        _read(tmp_path, planes, DrawnRoi(1, "sagittal", closed(upright)))


def test_contours_outside_the_image_are_left_out_and_said(tmp_path: Path) -> None:
    planes = axial()
    drawn = planes.points(0, square(1.5, 1.5, 4.5, 4.5))
    labels = _read(tmp_path, planes, DrawnRoi(1, "couch", closed(drawn, _moved(drawn, z=-30), _moved(drawn, x=900))))
    assert _codes(labels) == ["contours_outside"]
    assert "couch (2)" in labels.warnings[0].message
    with pytest.raises(GeometryMismatch, match="no contour lies inside"):
        _read(tmp_path, planes, DrawnRoi(1, "couch", closed(_moved(drawn, z=-30))))


def test_a_contour_over_the_edge_of_the_image_is_cut_there(tmp_path: Path) -> None:
    planes = axial()
    labels = _read(tmp_path, planes, DrawnRoi(1, "edge", closed(planes.points(0, square(-9.5, 20.5, 3.5, 70.5)))))
    assert labels.warnings == ()
    assert (labels.array[0, :4, 21:] == 1).all()
    assert int((labels.array == 1).sum()) == 4 * 9


def test_another_frame_of_reference_is_refused(tmp_path: Path) -> None:
    planes = axial()
    roi = DrawnRoi(1, "a", closed(planes.points(0, _STAR)), frame="1.2.3.4.5")
    with pytest.raises(GeometryMismatch) as caught:
        _read(tmp_path, planes, roi)
    assert caught.value.code == "frame_of_reference"


def test_another_series_of_the_same_frame_is_taken_with_a_warning(tmp_path: Path) -> None:
    planes = axial()
    labels = _read(tmp_path, planes, DrawnRoi(1, "a", closed(planes.points(0, _STAR))), series="1.2.3.9")
    assert _codes(labels) == ["other_series"]


def test_crossing_and_repeated_contours_are_said(tmp_path: Path) -> None:
    planes = axial()
    one, two = planes.points(0, square(1.5, 1.5, 6.5, 6.5)), planes.points(0, square(4.5, 4.5, 9.5, 9.5))
    crossing = _read(tmp_path, planes, DrawnRoi(1, "cross", closed(one, two)))
    assert _codes(crossing) == ["contours_cross"]
    assert int((crossing.array == 1).sum()) == 25 + 25 - 2 * 4
    twice = _read(tmp_path, planes, DrawnRoi(1, "twice", closed(one, one)))
    assert _codes(twice) == ["contours_cross"]
    assert int((twice.array == 1).sum()) == 25


def test_a_contour_smaller_than_a_voxel_is_said_to_leave_none(tmp_path: Path) -> None:
    planes = axial()
    labels = _read(tmp_path, planes, DrawnRoi(1, "dot", closed(planes.points(2, square(3.2, 3.2, 3.8, 3.8)))))
    assert labels.values() == ()
    assert _codes(labels) == ["contours_skipped"]
    assert "dot on slice 2" in labels.warnings[0].message


def test_pieces_side_by_side_are_no_crossing(tmp_path: Path) -> None:
    planes = axial()
    pieces = [planes.points(0, square(1.5, left + 0.5, 4.5, left + 3.5)) for left in (1, 8, 15)]
    labels = _read(tmp_path, planes, DrawnRoi(1, "pieces", closed(*pieces)))
    assert labels.warnings == ()
    assert int((labels.array == 1).sum()) == 27


def test_numbers_that_no_mask_holds_are_replaced(tmp_path: Path) -> None:
    planes = axial()
    corners = planes.points(0, square(1.5, 1.5, 4.5, 4.5))
    labels = _read(tmp_path, planes, DrawnRoi(0, "zero", closed(corners)), DrawnRoi(70000, "big"), DrawnRoi(1, "one"))
    assert {each.name: each.value for each in labels.table} == {"zero": 2, "big": 3, "one": 1}
    assert _codes(labels) == ["renumbered"]


def test_an_image_without_a_place_is_refused(tmp_path: Path) -> None:
    planes = axial()
    path = save(structure_set([DrawnRoi(1, "a", closed(planes.points(0, _STAR)))]), tmp_path / "RS.dcm")
    geometry = Geometry((5, 24, 30), np.eye(4), orientation_known=False)
    with pytest.raises(GeometryMismatch, match="no place"):
        read_labels(path, reference=geometry)


def test_images_at_one_position_are_no_place_for_contours(tmp_path: Path) -> None:
    count = 3
    planes = Planes((1, 0, 0, 0, 1, 0), (0.8, 0.7), ((-10.0, -20.0, 30.0),) * count)
    path = save(structure_set([DrawnRoi(1, "a", closed(planes.points(0, _STAR)))]), tmp_path / "RS.dcm")
    affines = np.zeros((count, 4, 3))
    affines[:, 0, 1], affines[:, 1, 0], affines[:, 3, 2] = 0.7, 0.8, 1
    affines[:, :3, 2] = planes.positions
    grid = SliceStackGeometry((count, 24, 30), affines, np.ones(count))
    with pytest.raises(GeometryMismatch, match="one position"):
        read_labels(path, reference=grid)


def test_a_grid_in_memory_is_reference_enough(tmp_path: Path) -> None:
    planes = axial()
    planes.write(tmp_path / "image")
    path = save(structure_set([DrawnRoi(1, "a", closed(planes.points(0, _STAR)))]), tmp_path / "RS.dcm")
    labels = read_labels(path, reference=read_volume(tmp_path / "image").geometry)
    assert np.array_equal(labels.array[0] == 1, _inside(_STAR, planes.shape))


def test_an_irregular_series_is_filled_slice_by_slice(tmp_path: Path) -> None:
    planes = Planes((1, 0, 0, 0, 1, 0), (0.8, 0.7), tuple((-10.0, -20.0, z) for z in (0.0, 5.0, 11.0, 15.0, 20.0)))
    drawn = [planes.points(k, _STAR) for k in (1, 2)]
    labels = _read(tmp_path, planes, DrawnRoi(1, "star", closed(*drawn)))
    assert np.flatnonzero(labels.array.any(axis=(1, 2))).tolist() == [1, 2]
    assert np.array_equal(labels.array[2] == 1, _inside(_STAR, planes.shape))


def test_the_image_is_found_in_the_same_folder_among_others(tmp_path: Path) -> None:
    planes = axial()
    planes.write(tmp_path)
    other = slice_dataset(np.zeros((4, 4), np.int16), (0, 0, 0))
    other.SeriesInstanceUID, other.FrameOfReferenceUID = "1.2.3.77", "1.2.3.78"
    other.save_as(tmp_path / "other.dcm", enforce_file_format=True)
    (tmp_path / "notes.txt").write_text("no image")
    path = save(structure_set([DrawnRoi(1, "a", closed(planes.points(0, _STAR)))]), tmp_path / "RS.dcm")
    assert read_labels(path).geometry.shape_kji == (5, 24, 30)


def test_without_an_image_the_way_out_is_named(tmp_path: Path) -> None:
    path = save(structure_set([DrawnRoi(1, "a")]), tmp_path / "RS.dcm")
    with pytest.raises(ReadError, match="--reference") as caught:
        read_labels(path)
    assert caught.value.code == "no_reference"


def test_a_folder_with_two_unrelated_images_that_both_fit_asks_which(tmp_path: Path) -> None:
    planes = axial()
    for name, shape in (("a", (24, 30)), ("b", (20, 20))):
        for k, position in enumerate(planes.positions):
            dataset = slice_dataset(np.zeros(shape, np.int16), position, k + 1)
            dataset.SeriesInstanceUID = f"1.2.3.{len(name)}.{shape[0]}"
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{shape[0]}.{k}"
            (tmp_path / name).mkdir(exist_ok=True)
            dataset.save_as(tmp_path / name / f"{k}.dcm", enforce_file_format=True)
    path = save(structure_set([DrawnRoi(1, "a", closed(planes.points(0, square(1, 1, 5, 5))))]), tmp_path / "RS.dcm")
    with pytest.raises(UsageError) as caught:
        read_labels(path, reference=tmp_path)
    assert caught.value.code == "several_series"


def _set_raw(contour: Dataset, text: bytes) -> None:
    """Put coordinates that pydicom would not write."""
    tag = Tag(0x3006, 0x0050)
    contour[tag] = RawDataElement(tag, "DS", len(text), text, 0, True, True)


@pytest.mark.parametrize(
    "damage",
    ["number of points", "not a number", "infinite", "odd count", "no number", "twice", "not listed"],
)
def test_what_contradicts_itself_is_refused(tmp_path: Path, damage: str) -> None:
    planes = axial()
    planes.write(tmp_path)
    rois = [DrawnRoi(n, f"r{n}", closed(planes.points(0, _STAR))) for n in (1, 2)]
    dataset = structure_set(rois)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    contour = dataset.ROIContourSequence[0].ContourSequence[0]
    if damage == "number of points":
        contour.NumberOfContourPoints = 3
    elif damage == "not a number":
        _set_raw(contour, b"1\\2\\x ")
    elif damage == "infinite":
        _set_raw(contour, b"1\\2\\1e999 ")
    elif damage == "odd count":
        _set_raw(contour, b"1\\2\\3\\4 ")
    elif damage == "no number":
        del dataset.StructureSetROISequence[0].ROINumber
    elif damage == "twice":
        dataset.StructureSetROISequence[1].ROINumber = 1
    else:
        dataset.StructureSetROISequence = dataset.StructureSetROISequence[:1]
    path = save(dataset, tmp_path / "RS.dcm")
    with pytest.raises(ReadError) as caught:
        read_labels(path)
    assert caught.value.code == "bad_structure_set"


def test_a_contour_without_coordinates_is_skipped(tmp_path: Path) -> None:
    planes = axial()
    planes.write(tmp_path)
    dataset = structure_set([DrawnRoi(1, "a", closed(planes.points(0, _STAR), planes.points(1, _STAR)))])
    del dataset.ROIContourSequence[0].ContourSequence[0].ContourData
    del dataset.ROIContourSequence[0].ContourSequence[0].NumberOfContourPoints
    labels = read_labels(save(dataset, tmp_path / "RS.dcm"))
    assert _codes(labels) == ["contours_skipped"]
    assert np.flatnonzero(labels.array.any(axis=(1, 2))).tolist() == [1]


def test_a_truncated_file_is_a_typed_error(tmp_path: Path) -> None:
    planes = axial()
    planes.write(tmp_path)
    path = save(structure_set([DrawnRoi(1, "a", closed(planes.points(0, _STAR)))]), tmp_path / "RS.dcm")
    whole = path.read_bytes()
    for length in range(400, len(whole), 37):
        path.write_bytes(whole[:length])
        try:
            read_labels(path)
        except (ReadError, GeometryMismatch):
            continue


def test_the_table_of_a_structure_set_needs_no_image(tmp_path: Path) -> None:
    path = save(structure_set([DrawnRoi(7, "Liver", (), (1, 2, 3))]), tmp_path / "RS.dcm")
    assert [(each.value, each.name) for each in read_label_table(path)] == [(7, "Liver")]


def test_a_lone_file_is_described_and_one_in_a_folder_counted(tmp_path: Path) -> None:
    planes = axial()
    planes.write(tmp_path)
    path = save(structure_set([DrawnRoi(7, "Liver", closed(planes.points(0, _STAR)))]), tmp_path / "RS.dcm")
    (described,) = scan(path).structure_sets
    assert described.to_json() == {
        "kind": "rtstruct",
        "label": "PLAN 1",
        "referenced_series_uid": "1.2.826.0.1.3680043.8.498.1",
        "rois": [{"number": 7, "name": "Liver", "colour_rgb": [255, 128, 0], "contours": 1}],
    }
    found = scan(tmp_path)
    assert (len(found.series), found.skipped, found.structure_sets) == (1, 1, ())
    with pytest.raises(ReadError) as caught:
        read_volume(path)
    assert caught.value.code == "not_an_image"


def test_a_real_plan_lands_on_its_ct_slice(shared_data: Path) -> None:
    folder = shared_data / "dicom-seg-rtstruct" / "dicompyler"
    labels = read_labels(folder / "rtss.dcm")
    assert labels.geometry.shape_kji == (1, 512, 512)
    assert labels.table.values == tuple(range(1, 11))
    # One slice of 98: BODY is drawn on it, everything else lies below.
    assert labels.values() == (1,)
    assert "contours_outside" in _codes(labels)


def test_real_contours_are_filled_as_scikit_image_does(shared_data: Path) -> None:
    path = shared_data / "dicom-seg-rtstruct" / "dicompyler" / "rtss.dcm"
    # The grid of the plan's CT, of which one slice is at hand: 98 slices of 3 mm, pixels of 1.074219 mm.
    affine = np.array([[0, 0, 1.074219, -275], [0, 1.074219, 0, -524], [3, 0, 0, -122.44], [0, 0, 0, 1.0]])
    labels = read_labels(path, reference=Geometry((98, 512, 512), affine))
    dataset = pydicom.dcmread(path)
    numbers = {roi.ROIName: int(roi.ROINumber) for roi in dataset.StructureSetROISequence}
    for number in (numbers["Heart"], numbers["Tumor Bed"], numbers["Nodes"]):
        found = np.any([layer == number for layer in labels.layers], axis=0)
        drawn = next(item for item in dataset.ROIContourSequence if int(item.ReferencedROINumber) == number)
        expected = np.zeros_like(found)
        for contour in drawn.ContourSequence:
            points = np.array(contour.ContourData, float).reshape(-1, 3)
            pixels = ((points[:, :2] - [-275, -524]) / 1.074219)[:, ::-1]
            low, high = np.floor(pixels.min(axis=0)).astype(int), np.ceil(pixels.max(axis=0)).astype(int)
            k = round((points[0, 2] + 122.44) / 3)
            window = expected[k, low[0] : high[0] + 1, low[1] : high[1] + 1]
            window ^= _inside(pixels - low, window.shape)
        assert not (expected & ~found).any()
        assert (found & ~expected).sum() < 0.005 * expected.sum()  # centres on the outline
