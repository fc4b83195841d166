"""Mask files to an open case: files are written with nibabel, SimpleITK and Pillow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from PIL import Image

from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.core.labels import Label, LabelMap
from segdesk.core.provenance import OriginKind
from segdesk.errors import GeometryMismatch, InvalidMask, UsageError
from segdesk.session import Session
from segdesk.session.mask_fit import IMAGE_UNPLACED, IRREGULAR_IMAGE, IRREGULAR_MASK, Relation, fit_of
from segdesk.session.mask_import import FoundMask, MaskTarget, flattened
from segdesk.store.records import MaskRole, RaterKind
from tests.builders import oblique_geometry
from tests.session.reading import dab
from tests.session.toys import SHAPE_KJI

MINE, READER, MODEL, REFERENCE = MaskTarget


def drawing() -> np.ndarray:
    array = np.zeros(SHAPE_KJI, np.uint8)
    array[4:7, 10:15, 8:12] = 1
    array[2, 3, 4] = 3
    return array


def mask_file(folder: Path, scan: Path, name: str = "mask.nii.gz", array: np.ndarray | None = None) -> Path:
    """Write a mask on the scan's grid."""
    labels = drawing() if array is None else array
    nib.save(nib.Nifti1Image(labels.T, nib.load(scan).affine), folder / name)
    return folder / name


def looked_at(session: Session, path: Path) -> FoundMask:
    return session.masks.look_at(path).run()


def test_a_mask_on_the_image_grid_is_shown_and_accepted_as_one_undoable_edit(
    opened: Session, scan: Path, tmp_path: Path
) -> None:
    dab(opened)
    before = opened.case.labels.array.copy()
    found = looked_at(opened, mask_file(tmp_path, scan))
    assert (found.fit.relation, found.overlap_voxels) == (Relation.SAME, 0)
    opened.masks.attach(found, MINE).run()
    assert opened.drafts.candidate.value.model == "mask.nii.gz"
    np.testing.assert_array_equal(opened.case.labels.array, before)
    opened.drafts.accept()
    np.testing.assert_array_equal(opened.case.labels.array, drawing())
    opened.editor.undo()
    np.testing.assert_array_equal(opened.case.labels.array, before)


def test_an_accepted_file_is_a_parent_of_the_read_and_no_model(opened: Session, scan: Path, tmp_path: Path) -> None:
    record = opened.masks.attach(looked_at(opened, mask_file(tmp_path, scan)), MINE).run().record
    opened.drafts.accept()
    saved = opened.save_labels().run().record
    assert saved.parents == (record.sha256,)
    stored = opened.project.masks.record(record.sha256)
    assert (stored.role, stored.origin_kind) == (MaskRole.IMPORT, OriginKind.IMPORT)
    assert dict(stored.parameters) == {"file": "mask.nii.gz", "fit": "same", "resampled": False}
    assert not opened.cases[0].has_draft


def test_a_mask_stored_along_other_axes_lands_on_the_same_voxels(opened: Session, scan: Path, tmp_path: Path) -> None:
    image = nib.load(scan)
    turned = nib.as_closest_canonical(nib.Nifti1Image(drawing().T, image.affine)).as_reoriented(
        nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt("SLA"))
    )
    nib.save(turned, tmp_path / "turned.nii.gz")
    found = looked_at(opened, tmp_path / "turned.nii.gz")
    assert found.fit.relation is Relation.SAME
    np.testing.assert_array_equal(found.on_image.array, drawing())


def test_the_same_shape_elsewhere_says_how_far_and_needs_consent(opened: Session, scan: Path, tmp_path: Path) -> None:
    affine = nib.load(scan).affine.copy()
    affine[2, 3] += 4.0  # two slices up
    nib.save(nib.Nifti1Image(drawing().T, affine), tmp_path / "moved.nii.gz")
    found = looked_at(opened, tmp_path / "moved.nii.gz")
    assert found.fit.relation is Relation.ELSEWHERE
    assert found.fit.corner_mm == pytest.approx(4.0, abs=1e-3)
    with pytest.raises(GeometryMismatch):
        opened.masks.attach(found, MINE)
    opened.masks.attach(found, MINE, agreed=True).run()
    opened.drafts.accept()
    np.testing.assert_array_equal(opened.case.labels.array[2:], drawing()[:-2])
    assert not opened.case.labels.array[:2].any()


def test_another_grid_is_resampled_and_what_is_lost_is_counted(opened: Session, scan: Path, tmp_path: Path) -> None:
    affine = nib.load(scan).affine @ np.diag([0.5, 0.5, 0.5, 1])
    affine[:3, 3] = nib.load(scan).affine[:3, :3] @ [-0.25, -0.25, -0.25] + nib.load(scan).affine[:3, 3]
    fine = np.repeat(np.repeat(np.repeat(drawing(), 2, 0), 2, 1), 2, 2)
    nib.save(nib.Nifti1Image(fine.T, affine), tmp_path / "fine.nii.gz")
    found = looked_at(opened, tmp_path / "fine.nii.gz")
    assert found.fit.relation is Relation.OTHER
    assert found.fit.corner_mm == pytest.approx(0, abs=1e-3)
    np.testing.assert_array_equal(found.on_image.array, drawing())
    assert [(each.value, each.voxels_in_file, each.voxels_on_image) for each in found.labels] == [
        (1, 480, 60),
        (3, 8, 1),
    ]
    assert found.voxel_mm3_in_file == pytest.approx(2.0 * 0.8 * 0.9 / 8, rel=1e-4)


def test_another_reader_gets_it_as_their_own_mask_once(opened: Session, scan: Path, tmp_path: Path) -> None:
    found = looked_at(opened, mask_file(tmp_path, scan))
    case_id = opened.case.record.id
    opened.masks.attach(found, READER, "Bob").run()
    assert "Bob" in [rater.name for rater in opened.raters]
    assert not opened.case.labels.array.any()
    with pytest.raises(UsageError) as raised:
        opened.masks.attach(found, READER, "Bob").run()
    assert raised.value.code == "exists"
    opened.use_rater("Bob").run()
    np.testing.assert_array_equal(opened.case.labels.array, drawing())
    assert opened.project.masks.of_case(case_id, MaskRole.WORKING)[-1].origin_kind is OriginKind.HUMAN


def test_a_model_is_no_reader(opened: Session, scan: Path, tmp_path: Path) -> None:
    opened.project.raters.get_or_add("net", RaterKind.MODEL)
    with pytest.raises(UsageError, match="is a model"):
        opened.masks.attach(looked_at(opened, mask_file(tmp_path, scan)), READER, "net").run()


def test_masks_of_two_models_stay_two_drafts_and_are_scored(opened: Session, scan: Path, tmp_path: Path) -> None:
    right = looked_at(opened, mask_file(tmp_path, scan))
    empty = looked_at(opened, mask_file(tmp_path, scan, "none.nii.gz", np.zeros(SHAPE_KJI, np.uint8)))
    opened.masks.attach(right, MODEL, "net-a").run()
    opened.masks.attach(empty, MODEL, "net-b").run()
    opened.masks.attach(right, REFERENCE).run()
    assert opened.cases[0].has_draft
    sheet = opened.scores.evaluate_against_reference().run()
    scores = {entry.name: entry.scores.to_json()["labels"]["1"]["dice"] for entry in sheet.entries}
    assert scores == {"net-a": 1.0, "net-b": 0.0}


@pytest.mark.parametrize("target", [READER, MODEL])
def test_a_reader_or_model_needs_a_name(opened: Session, scan: Path, tmp_path: Path, target: MaskTarget) -> None:
    with pytest.raises(UsageError, match="a name"):
        opened.masks.attach(looked_at(opened, mask_file(tmp_path, scan)), target, " ")


def test_another_case_in_the_meantime_is_noticed(opened: Session, scan: Path, tmp_path: Path) -> None:
    found = looked_at(opened, mask_file(tmp_path, scan))
    opened.open_case(opened.case.record.id).run()
    with pytest.raises(UsageError, match="Another case"):
        opened.masks.attach(found, MINE)


def test_a_case_opened_while_it_is_stored_gets_no_proposal(opened: Session, scan: Path, tmp_path: Path) -> None:
    task = opened.masks.attach(looked_at(opened, mask_file(tmp_path, scan)), MINE)
    candidate = task.work(lambda *args: None)
    opened.open_case(opened.case.record.id).run()
    task.apply(candidate)
    assert opened.drafts.candidate.value is None


def test_probabilities_are_refused(opened: Session, scan: Path, tmp_path: Path) -> None:
    path = mask_file(tmp_path, scan, array=np.full(SHAPE_KJI, 0.3, np.float32))
    with pytest.raises(InvalidMask):
        looked_at(opened, path)


def test_names_that_differ_are_told_and_the_reader_keeps_theirs(opened: Session, scan: Path, tmp_path: Path) -> None:
    table = opened.case.labels.table
    opened.case.labels.table = table.with_label(Label(1, "Liver", (1, 2, 3))).with_label(Label(3, "Label 3", (1, 2, 3)))
    found = looked_at(opened, mask_file(tmp_path, scan))
    assert found.renamed == ((1, "Liver", "Label 1"),)
    opened.masks.attach(found, MINE).run()
    opened.drafts.accept()
    assert opened.case.labels.table.name_of(1) == "Liver"


def test_overlapping_segments_are_counted_and_kept_for_a_reader(opened: Session, scan: Path, tmp_path: Path) -> None:
    path = overlapping_file(opened, tmp_path / "two.seg.nrrd")
    found = looked_at(opened, path)
    assert (found.fit.relation, len(found.source.layers), found.overlap_voxels) == (Relation.SAME, 2, 10)
    record = opened.masks.attach(found, READER, "Bob").run()
    assert len(opened.project.masks.load(record.sha256).layers) == 2
    opened.masks.attach(found, MINE).run()
    proposal = opened.drafts.candidate.value.labels
    assert len(proposal.layers) == 1
    np.testing.assert_array_equal(proposal.array, flattened(found.on_image).array)
    first = found.on_image.layers[0]
    np.testing.assert_array_equal(proposal.array[first != 0], first[first != 0])


def overlapping_file(session: Session, path: Path) -> Path:
    """Write two overlapping boxes as Slicer does: one list entry a layer, on the open case's grid."""
    one, two = np.zeros(SHAPE_KJI, np.uint8), np.zeros(SHAPE_KJI, np.uint8)
    one[3, 4, :15], two[3, 4, 5:] = 1, 2
    grid = session.case.labels.geometry
    image = SimpleITK.GetImageFromArray(np.stack([one, two], axis=-1), isVector=True)
    k, j, i = grid.spacing_kji_mm
    image.SetSpacing((i, j, k))
    image.SetOrigin([float(x) for x in grid.index_to_lps((0, 0, 0))])
    image.SetDirection(grid.directions_lps[:, ::-1].ravel().tolist())
    for n, name in enumerate(("One", "Two")):
        image.SetMetaData(f"Segment{n}_ID", name)
        image.SetMetaData(f"Segment{n}_Name", name)
        image.SetMetaData(f"Segment{n}_Layer", str(n))
        image.SetMetaData(f"Segment{n}_LabelValue", str(n + 1))
    SimpleITK.WriteImage(image, str(path))
    return path


def picture_case(session: Session, folder: Path, side: int = 12) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (side, side)).astype(np.uint8)).save(folder / "film.png")
    session.open_path(folder / "film.png").run()


def test_a_picture_takes_a_mask_of_as_many_pixels_only(session: Session, tmp_path: Path) -> None:
    picture_case(session, tmp_path)
    mask = np.zeros((12, 12), np.uint8)
    mask[2:5, 3:9] = 1
    Image.fromarray(mask).save(tmp_path / "mask.png")
    Image.fromarray(mask[:-1]).save(tmp_path / "short.png")
    found = looked_at(session, tmp_path / "mask.png")
    assert found.fit.relation is Relation.SAME
    short = looked_at(session, tmp_path / "short.png")
    assert (short.fit.relation, short.on_image) == (Relation.IMPOSSIBLE, None)
    with pytest.raises(GeometryMismatch, match="number of pixels"):
        session.masks.attach(short, MINE, agreed=True)


def test_a_picture_is_never_laid_over_a_scan_by_index(opened: Session, tmp_path: Path) -> None:
    Image.fromarray(np.ones(SHAPE_KJI[1:], np.uint8)).save(tmp_path / "mask.png")
    found = looked_at(opened, tmp_path / "mask.png")
    assert found.fit.relation is Relation.IMPOSSIBLE
    assert "does not say where it lies" in found.fit.reason


FILM = Geometry((1, 8, 9), np.diag([1.0, 0.14, 0.14, 1.0])[[2, 1, 0, 3]], orientation_known=False)
STACK = SliceStackGeometry((3, 4, 5), np.zeros((3, 4, 3)) + np.eye(4)[:, [1, 0, 3]], np.ones(3))


def test_pixels_of_a_film_and_of_a_plain_picture_are_matched_only_with_consent() -> None:
    plain = Geometry((1, 8, 9), np.eye(4)[[2, 1, 0, 3]], orientation_known=False, spacing_known=False)
    assert fit_of(plain, FILM).relation is Relation.UNPLACED
    assert not fit_of(plain, FILM).needs_resampling


def test_a_placed_mask_does_not_fit_an_image_without_a_place() -> None:
    assert fit_of(oblique_geometry((1, 8, 9)), FILM).reason == IMAGE_UNPLACED


def test_stacks_fit_only_themselves() -> None:
    regular = oblique_geometry((3, 4, 5))
    assert fit_of(STACK, STACK).relation is Relation.SAME
    assert fit_of(regular, STACK).reason == IRREGULAR_IMAGE
    assert fit_of(STACK, regular).reason == IRREGULAR_MASK


def test_equal_outlines_are_not_equal_voxels() -> None:
    one = Geometry.from_spacing((10, 20, 5), (2.0, 1.0, 1.0))
    other = Geometry.from_spacing((20, 10, 5), (1.0, 2.0, 1.0))
    moved = replace(other, affine_kji_to_lps=other.affine_kji_to_lps + np.eye(4)[:, [3]] @ [[0, 0, 0, 0.0]])
    assert fit_of(moved, one).relation is Relation.OTHER


def test_a_single_layer_is_flat_already() -> None:
    labels = LabelMap.of(drawing(), Geometry.from_spacing(SHAPE_KJI))
    assert flattened(labels) is labels
