"""The export dialog without Qt."""

from __future__ import annotations

from pathlib import Path

import pytest

from segdesk.core.labels import Label
from segdesk.session import Session
from segdesk.session.export import ExportContent
from segdesk.session.export_formats import ExportFormat
from segdesk.ui.models.export_model import ExportModel, receipt_text
from tests.io.dicom_maker import write_series
from tests.ui.desks import desk_with_cases


@pytest.fixture
def session(tmp_path: Path) -> Session:
    made = desk_with_cases(tmp_path, 1)
    made.open_case(made.cases[0].case.id).run()
    table = made.case.labels.table
    made.case.labels.table = table.with_label(Label(2, "Spleen", (1, 2, 3)))
    return made


def test_the_name_tells_case_reader_and_format(session: Session, tmp_path: Path) -> None:
    model = ExportModel(session, tmp_path)
    assert model.path == tmp_path / "case-0_Reader-1.nii.gz"
    model.choose_format(ExportFormat.SEG_NRRD)
    assert model.path.name == "case-0_Reader-1.seg.nrrd"
    model.choose_content(ExportContent.IMAGE)
    # A segmentation format holds no image; the first one that does is taken.
    assert model.path.name == "case-0_image.nii.gz"


def test_a_typed_name_keeps_its_stem_when_the_format_changes(session: Session, tmp_path: Path) -> None:
    model = ExportModel(session, tmp_path)
    model.choose_path(str(tmp_path / "mine.nii.gz"))
    model.choose_format(ExportFormat.META)
    assert model.path == tmp_path / "mine.mha"
    model.choose_path(str(tmp_path / "mine.png"))
    assert model.problem == "The name must end in .mha."


def test_all_labels_are_no_choice_and_some_are(session: Session, tmp_path: Path) -> None:
    model = ExportModel(session, tmp_path)
    assert model.order.values is None
    model.choose_values(frozenset({2}))
    assert model.order.values == {2}
    model.choose_values(frozenset())
    assert model.problem == "Tick at least one label."
    model.choose_content(ExportContent.IMAGE)
    assert (model.problem, model.order.values) == ("", None)


def test_an_existing_file_asks_and_every_change_asks_again(session: Session, tmp_path: Path) -> None:
    (tmp_path / "case-0_Reader-1.nii.gz").write_bytes(b"")
    model = ExportModel(session, tmp_path)
    assert model.exists
    assert "may be replaced" in model.problem
    model.allow_overwrite(True)
    assert (model.problem, model.order.overwrite) == ("", True)
    model.note_written()
    assert "may be replaced" in model.problem


def test_a_folder_that_is_not_there_is_told(session: Session, tmp_path: Path) -> None:
    model = ExportModel(session, tmp_path)
    model.choose_path(str(tmp_path / "nowhere" / "a.nii.gz"))
    assert "does not exist" in model.problem


def test_a_tilt_can_be_taken_out_which_opens_other_formats(session: Session, tmp_path: Path) -> None:
    write_series(tmp_path / "ct", [(0.0, 0.8 * n, 2.0 * n) for n in range(4)])
    session.open_path(tmp_path / "ct").run()
    model = ExportModel(session, tmp_path)
    assert model.can_straighten
    assert not next(each for each in model.offers if each.format is ExportFormat.NRRD).is_possible
    assert model.offer.remarks[0].startswith("The tilt is kept")
    model.straighten(True)
    assert next(each for each in model.offers if each.format is ExportFormat.NRRD).is_possible
    assert model.path.name == "ct_Reader-1_straight.nii.gz"
    assert model.order.straightened


def test_an_irregular_image_has_no_format(session: Session, tmp_path: Path) -> None:
    write_series(tmp_path / "ct", [(0.0, 0.0, z) for z in (0.0, 2.0, 3.1, 5.0)])
    session.open_path(tmp_path / "ct", as_stack=True).run()
    model = ExportModel(session, tmp_path)
    assert model.format is ExportFormat.DICOM_SEG
    assert model.problem == ""
    model.choose_content(ExportContent.IMAGE)
    assert model.problem.startswith("No format can hold this")


@pytest.mark.parametrize(
    ("wanted", "held"),
    [
        (ExportFormat.NIFTI, "Voxels, place and names are identical"),
        (ExportFormat.META, "Voxels and place are identical"),
        (ExportFormat.TIFF, "Voxels are identical"),
    ],
)
def test_the_receipt_claims_what_was_compared(
    session: Session, tmp_path: Path, wanted: ExportFormat, held: str
) -> None:
    model = ExportModel(session, tmp_path)
    model.choose_format(wanted)
    text = receipt_text(session.export.write(model.order).run())
    assert f"{held}: 15 × 15 × 9 voxels, an empty mask" in text


def test_the_receipt_of_an_image_has_no_labels(session: Session, tmp_path: Path) -> None:
    model = ExportModel(session, tmp_path)
    model.choose_content(ExportContent.IMAGE)
    text = receipt_text(session.export.write(model.order).run())
    assert text.startswith("case-0_image.nii.gz was written and read back. Voxels and place are identical: ")
    assert "label" not in text
