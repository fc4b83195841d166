"""What the dialog says of a mask file, without Qt."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from segdesk.core.labels import Label
from segdesk.session import Session
from segdesk.session.mask_import import MaskTarget
from segdesk.ui.models.mask_choice import MaskChoice
from tests.io.dicom_maker import write_series
from tests.session.test_mask_import import overlapping_file
from tests.ui.desks import SHAPE_KJI, desk_with_cases


@pytest.fixture
def session(tmp_path: Path) -> Session:
    made = desk_with_cases(tmp_path, 1)
    made.project.raters.get_or_add("Bob")
    made.open_case(made.cases[0].case.id).run()
    return made


def mask_file(folder: Path, shift_mm: float = 0.0, value: int = 1) -> Path:
    """Write a mask on the grid of the first case, moved along the patient's axis."""
    image = nib.load(folder / "images" / "case-0.nii.gz")
    affine = image.affine.copy()
    affine[2, 3] += shift_mm
    array = np.zeros(SHAPE_KJI, np.uint8)
    array[3:6, 5:10, 5:10] = value
    nib.save(nib.Nifti1Image(array.T, affine), folder / "mask.nii.gz")
    return folder / "mask.nii.gz"


def choice(session: Session, path: Path) -> MaskChoice:
    return MaskChoice(session, session.masks.look_at(path).run())


def test_a_mask_that_fits_asks_nothing(session: Session, tmp_path: Path) -> None:
    made = choice(session, mask_file(tmp_path))
    assert (made.question, made.comparison, made.warnings, made.problem) == ("", (), (), "")
    assert made.headline == "Its voxels are voxels of the image: it fits."
    (line,) = made.lines
    # 75 voxels of 3.0 x 0.8 x 1.1 mm.
    assert (line.in_file, line.on_image, line.is_striking) == ("198 mm³", "198 mm³", False)


def test_a_mask_elsewhere_says_how_far_and_what_is_lost(session: Session, tmp_path: Path) -> None:
    made = choice(session, mask_file(tmp_path, shift_mm=12.0))
    assert "12 mm apart" in made.headline
    assert made.problem == "Tick that it may be brought onto the image's grid."
    assert [row.name for row in made.comparison] == ["Voxels", "Spacing", "Axes", "Place from"]
    assert made.comparison[1].mask == "1.1 × 0.8 × 3 mm"
    (line,) = made.lines
    # Four slices up: of slices 3 to 5, those at 7 and 8 are still inside.
    assert (line.on_image, line.is_striking) == ("132 mm³", True)
    made.agree(True)
    assert made.problem == ""


def test_the_consequence_follows_the_target(session: Session, tmp_path: Path) -> None:
    made, heard = choice(session, mask_file(tmp_path)), []
    made.changed.connect(lambda: heard.append(made.target))
    assert "becomes your mask" in made.consequence
    session.case.labels.array[0, 0, 0] = 1
    assert "takes the place of your mask" in choice(session, mask_file(tmp_path)).consequence
    made.choose_target(MaskTarget.READER)
    assert made.problem == "Give the reader a name."
    made.choose_name(MaskTarget.READER, "Bob")
    assert (made.problem, made.name) == ("", "Bob")
    made.choose_target(MaskTarget.MODEL)
    assert made.name == "mask"
    assert "model's draft" in made.consequence
    made.choose_target(MaskTarget.REFERENCE)
    assert "scored against it" in made.consequence
    assert heard == [MaskTarget.READER, MaskTarget.READER, MaskTarget.MODEL, MaskTarget.REFERENCE]


def test_the_present_reader_is_not_another_one(session: Session, tmp_path: Path) -> None:
    session.refresh().run()
    made = choice(session, mask_file(tmp_path))
    assert (made.reader_name, made.other_readers) == ("Reader 1", ("Bob",))


def test_a_picture_on_a_scan_cannot_be_added(session: Session, tmp_path: Path) -> None:
    Image.fromarray(np.ones((15, 15), np.uint8)).save(tmp_path / "mask.png")
    made = choice(session, tmp_path / "mask.png")
    assert not made.can_be_added
    assert "does not say where it lies" in made.headline
    assert made.lines[0].on_image == "-"
    assert made.comparison[1].mask == "not known"
    assert made.comparison[2].mask == "not known"


def test_pixels_of_a_film_are_counted_and_laid_over_with_consent(session: Session, tmp_path: Path) -> None:
    film = np.zeros((12, 12), np.uint8)
    Image.fromarray(film).save(tmp_path / "film.png")
    session.open_path(tmp_path / "film.png").run()
    Image.fromarray(film + np.eye(12, dtype=np.uint8)).save(tmp_path / "mask.png")
    made = choice(session, tmp_path / "mask.png")
    assert (made.lines[0].in_file, made.lines[0].is_striking) == ("12 voxels", False)


def test_a_mask_on_a_stack_of_slices_is_compared_slice_by_slice(session: Session, tmp_path: Path) -> None:
    write_series(tmp_path / "ct", [(0.0, 0.0, z) for z in (0.0, 2.0, 3.1, 5.0)])
    session.open_path(tmp_path / "ct", as_stack=True).run()
    made = choice(session, mask_file(tmp_path))
    assert "irregular slices" in made.headline
    assert (made.comparison[1].image, made.comparison[2].image) == ("0.7 × 0.8 × uneven mm", "slice by slice")


def test_overlaps_and_other_names_are_told(session: Session, tmp_path: Path) -> None:
    session.case.labels.table = session.case.labels.table.with_label(Label(1, "Liver", (1, 2, 3)))
    made = choice(session, mask_file(tmp_path))
    assert made.warnings == ("Label 1 is called Liver here and Label 1 in the file; Liver stays.",)
    made.choose_target(MaskTarget.READER)
    assert made.warnings == ()


def test_overlapping_labels_are_told_as_they_will_be_kept(tmp_path: Path) -> None:
    from tests.session.toys import write_scan

    session = desk_with_cases(tmp_path, 1)
    session.open_path(write_scan(tmp_path / "head.nii.gz")).run()
    made = choice(session, overlapping_file(session, tmp_path / "two.seg.nrrd"))
    assert "10 voxels carry several labels: the label listed first keeps them." in made.warnings
    made.choose_name(MaskTarget.READER, "Bob")
    assert "10 voxels carry several labels: all are kept, tools show and edit the first layer." in made.warnings
