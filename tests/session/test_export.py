"""Exports, read back with libraries that are not ours."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK

from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.core.labels import Label, LabelMap
from segdesk.core.volume import IntensityUnit, Volume
from segdesk.errors import SegdeskError, UsageError, WriteError
from segdesk.io import write_labels, write_volume
from segdesk.io.limits import SizePolicy, use_policy
from segdesk.session import Session
from segdesk.session.export import ExportContent, ExportOrder
from segdesk.session.export_formats import MASKS_ONLY, NOT_DICOM, ExportFormat, image_offers, mask_offers
from tests.builders import oblique_geometry, sheared_geometry
from tests.io.dicom_maker import write_series
from tests.session.reading import dab

MASK, IMAGE = ExportContent.MASK, ExportContent.IMAGE


def order(path: Path, content: ExportContent = MASK, **changes: object) -> ExportOrder:
    wanted = next(each for each in ExportFormat if path.name.endswith(each.suffix))
    return ExportOrder(content, wanted, path, **changes)  # type: ignore[arg-type]


@pytest.fixture
def drawn(opened: Session) -> Session:
    """The open case with two labels drawn."""
    opened.case.labels.table = opened.case.labels.table.with_label(Label(1, "Left", (255, 0, 0)))
    dab(opened)
    opened.editor.active_value.value = 7
    dab(opened, (2.0, 4.0, 4.0), 2.0)
    opened.case.labels.table = opened.case.labels.table.with_label(Label(7, "Right", (0, 255, 0)))
    return opened


def tilted_case(session: Session, folder: Path) -> Session:
    grid = sheared_geometry()
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.affine_kji_to_lps @ np.eye(4)[[2, 1, 0, 3]]
    array = np.random.default_rng(0).integers(0, 90, grid.shape_kji).astype(np.int16)
    nib.save(nib.Nifti1Image(array.T, affine), folder / "tilted.nii")
    session.open_path(folder / "tilted.nii").run()
    dab(session, (4.0, 4.0, 5.0), 2.0)
    return session


def test_a_nifti_mask_reads_back_the_same_elsewhere(drawn: Session, scan: Path, tmp_path: Path) -> None:
    receipt = drawn.export.write(order(tmp_path / "out.nii.gz")).run()
    theirs, image = nib.load(tmp_path / "out.nii.gz"), nib.load(scan)
    np.testing.assert_array_equal(np.asarray(theirs.dataobj).T, drawn.case.labels.array)
    np.testing.assert_allclose(theirs.affine, image.affine, atol=1e-4)
    voxels = {each.name: each.voxels for each in receipt.labels}
    assert voxels == {
        "Left": int((drawn.case.labels.array == 1).sum()),
        "Right": int((drawn.case.labels.array == 7).sum()),
    }
    assert receipt.size_bytes == (tmp_path / "out.nii.gz").stat().st_size
    assert receipt.geometry_source == "NIfTI sform"


def test_chosen_labels_keep_their_numbers(drawn: Session, tmp_path: Path) -> None:
    drawn.export.write(order(tmp_path / "out.nrrd", values=[7])).run()
    theirs = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "out.nrrd")))
    np.testing.assert_array_equal(theirs, np.where(drawn.case.labels.array == 7, 7, 0))


def test_an_empty_mask_is_exported(opened: Session, tmp_path: Path) -> None:
    receipt = opened.export.write(order(tmp_path / "out.mha")).run()
    assert [each.voxels for each in receipt.labels] == [0]
    assert SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "out.mha"))).max() == 0


def test_the_stroke_in_progress_is_left_out(drawn: Session, tmp_path: Path) -> None:
    before = drawn.case.labels.array.copy()
    drawn.editor.begin_stroke()
    drawn.editor.paint((8.0, 20.0, 15.0), (8.0, 20.0, 15.0))
    drawn.export.write(order(tmp_path / "out.nii.gz")).run()
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "out.nii.gz").dataobj).T, before)


def test_the_image_is_exported_on_its_grid(opened: Session, scan: Path, tmp_path: Path) -> None:
    receipt = opened.export.write(order(tmp_path / "out.nrrd", IMAGE)).run()
    theirs = SimpleITK.ReadImage(str(tmp_path / "out.nrrd"))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(theirs), np.asarray(nib.load(scan).dataobj).T)
    assert receipt.labels == ()


@pytest.mark.parametrize("content", list(ExportContent))
def test_what_was_opened_with_consent_is_exported_without_asking(
    opened: Session, tmp_path: Path, content: ExportContent
) -> None:
    with use_policy(SizePolicy(max_bytes=100)):
        opened.export.write(order(tmp_path / "out.nii.gz", content)).run()
    assert (tmp_path / "out.nii.gz").is_file()


def test_a_tilted_grid_is_kept_by_nifti_and_refused_by_the_others(session: Session, tmp_path: Path) -> None:
    export = tilted_case(session, tmp_path).export
    possible = {each.format for each in export.offers(MASK) if each.is_possible}
    assert possible == {ExportFormat.NIFTI, ExportFormat.TIFF}
    with pytest.raises(UsageError, match="tilt"):
        export.write(order(tmp_path / "out.nrrd"))
    export.write(order(tmp_path / "out.nii.gz")).run()
    theirs = nib.load(tmp_path / "out.nii.gz")
    np.testing.assert_allclose(theirs.affine, nib.load(tmp_path / "tilted.nii").affine, atol=1e-4)
    assert (int(theirs.header["qform_code"]), int(theirs.header["sform_code"])) == (0, 1)


@pytest.mark.parametrize("content", list(ExportContent))
def test_a_straightened_export_opens_in_itk_at_the_same_place(
    session: Session, tmp_path: Path, content: ExportContent
) -> None:
    export = tilted_case(session, tmp_path).export
    assert export.can_straighten
    receipt = export.write(order(tmp_path / "out.mha", content, straightened=True)).run()
    theirs = SimpleITK.ReadImage(str(tmp_path / "out.mha"))
    case = session.case
    source = case.labels.array if content is MASK else case.volume.array
    # 1 mm of tilt a slice and rows of 0.8 mm: the fifth slice lies five rows off, on the new lattice.
    for j, i in np.ndindex(source.shape[1:]):
        point_lps = [float(x) for x in case.volume.geometry.index_to_lps((4, j, i))]
        assert theirs[theirs.TransformPhysicalPointToIndex(point_lps)] == pytest.approx(
            float(source[4, j, i]), abs=1e-3
        )
    assert receipt.geometry_source.endswith("resampled at right angles")


def test_an_existing_file_is_replaced_only_when_asked(drawn: Session, tmp_path: Path) -> None:
    target = tmp_path / "out.nii.gz"
    target.write_bytes(b"precious")
    with pytest.raises(WriteError) as raised:
        drawn.export.write(order(target)).run()
    assert raised.value.code == "exists"
    assert target.read_bytes() == b"precious"
    drawn.export.write(order(target, overwrite=True)).run()
    assert nib.load(target).shape == drawn.case.labels.array.T.shape


def test_a_name_of_another_format_is_refused(drawn: Session, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"must end in \.nii\.gz"):
        drawn.export.write(ExportOrder(MASK, ExportFormat.NIFTI, tmp_path / "out.mha"))


def test_without_a_case_there_is_nothing_to_export(session: Session) -> None:
    with pytest.raises(UsageError):
        session.export.offers(MASK)


def test_time_and_colour_cannot_be_straightened(session: Session, tmp_path: Path) -> None:
    grid = sheared_geometry()
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.affine_kji_to_lps @ np.eye(4)[[2, 1, 0, 3]]
    array = np.zeros((*grid.shape_kji[::-1], 2), np.int16)
    nib.save(nib.Nifti1Image(array, affine), tmp_path / "timed.nii")
    session.open_path(tmp_path / "timed.nii").run()
    assert not any(each.is_possible for each in session.export.offers(IMAGE, straightened=True))
    assert any(each.is_possible for each in session.export.offers(MASK, straightened=True))


def dicom_case(session: Session, folder: Path, positions: list[tuple[float, float, float]]) -> Session:
    write_series(folder, positions)
    session.open_path(folder, as_stack=True).run()
    session.editor.begin_stroke()
    session.editor.paint((1.0, 2.0, 2.0), (1.0, 2.0, 4.0), 0)
    session.editor.commit_stroke()
    assert session.case.labels.array.any()
    return session


STEPS = {
    "regular": [(0.0, 0.0, 2.0 * n) for n in range(4)],
    "tilted": [(0.0, 0.8 * n, 2.0 * n) for n in range(4)],
    "uneven": [(0.0, 0.0, z) for z in (0.0, 2.0, 3.1, 5.0)],
}


@pytest.mark.parametrize("positions", STEPS.values(), ids=STEPS)
def test_a_dicom_segmentation_is_exact_on_every_grid(
    session: Session, tmp_path: Path, positions: list[tuple[float, float, float]]
) -> None:
    export = dicom_case(session, tmp_path / "ct", positions).export
    possible = {each.format for each in export.offers(MASK) if each.is_possible}
    assert possible >= {ExportFormat.DICOM_SEG, ExportFormat.DICOM_LABELMAP, ExportFormat.RTSTRUCT}
    for wanted in (ExportFormat.DICOM_SEG, ExportFormat.DICOM_LABELMAP):
        path = tmp_path / f"{wanted}.dcm"
        export.write(ExportOrder(MASK, wanted, path)).run()
        frames = pydicom.dcmread(path)
        places = [
            each.PlanePositionSequence[0].ImagePositionPatient for each in frames.PerFrameFunctionalGroupsSequence
        ]
        drawn = frames.pixel_array.reshape(len(places), 5, 6).any(axis=(1, 2))
        drawn_z = [float(place[2]) for place, is_drawn in zip(places, drawn, strict=True) if is_drawn]
        assert drawn_z == [positions[1][2]]


@pytest.mark.parametrize("positions", STEPS.values(), ids=STEPS)
def test_a_structure_set_lies_on_the_slice_that_was_drawn(
    session: Session, tmp_path: Path, positions: list[tuple[float, float, float]]
) -> None:
    export = dicom_case(session, tmp_path / "ct", positions).export
    path = tmp_path / "rt.dcm"
    export.write(ExportOrder(MASK, ExportFormat.RTSTRUCT, path)).run()
    (region,) = pydicom.dcmread(path).ROIContourSequence
    (contour,) = region.ContourSequence
    assert {round(float(z), 4) for z in contour.ContourData[2::3]} == {positions[1][2]}


def test_what_was_straightened_has_no_dicom_image(session: Session, tmp_path: Path) -> None:
    export = dicom_case(session, tmp_path / "ct", STEPS["tilted"]).export
    refusals = {each.format: each.refusal for each in export.offers(MASK, straightened=True)}
    assert refusals[ExportFormat.DICOM_SEG] == NOT_DICOM
    assert refusals[ExportFormat.NRRD] == ""


STACK = SliceStackGeometry((3, 4, 5), np.zeros((3, 4, 3)) + np.eye(4)[:, [1, 0, 3]], np.ones(3))
NOWHERE = Geometry((3, 4, 5), np.eye(4), orientation_known=False)
FILM = Geometry((1, 4, 5), np.eye(4), orientation_known=False)
GRIDS = {
    "oblique": oblique_geometry((3, 4, 5)),
    "tilted": sheared_geometry((3, 4, 5)),
    "no sides": NOWHERE,
    "film": FILM,
    "stack": STACK,
}


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_offers_of_masks_are_what_the_writers_do(grid: Geometry, layers: int, tmp_path: Path) -> None:
    array = np.zeros(grid.shape_kji, np.uint8)
    array[0, 1, 2] = 1
    labels = LabelMap((array,) * layers, grid, LabelMap.of(array, grid).table)
    for offer in mask_offers(grid, layers, is_on_dicom=False):
        if offer.format.is_dicom:
            assert offer.refusal == NOT_DICOM
            continue
        assert offer.is_possible == _is_written(lambda path: write_labels(labels, path), tmp_path, offer.format), offer


KINDS = {
    "short": (np.int16, 1, False),
    "byte": (np.uint8, 1, False),
    "timed": (np.int16, 2, False),
    "colour": (np.uint8, 1, True),
    "timed colour": (np.uint8, 2, True),
}


@pytest.mark.parametrize(("dtype", "times", "rgb"), KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_offers_of_images_are_what_the_writers_do(
    grid: Geometry, dtype: type, times: int, rgb: bool, tmp_path: Path
) -> None:
    shape = (*((times,) if times > 1 else ()), *grid.shape_kji, *((3,) if rgb else ()))
    unit = IntensityUnit.RGB if rgb else IntensityUnit.ARBITRARY
    volume = Volume(np.ones(shape, dtype), grid, unit=unit, time_points=times)
    for offer in image_offers(volume, grid):
        if offer.refusal == MASKS_ONLY:
            continue
        assert offer.is_possible == _is_written(lambda path: write_volume(volume, path), tmp_path, offer.format), offer


def _is_written(write: object, folder: Path, wanted: ExportFormat) -> bool:
    try:
        write(folder / f"out{wanted.suffix}")  # type: ignore[operator]
    except SegdeskError:
        return False
    return True
