import pytest

from segdesk.errors import GeometryMismatch, NotFound, ReadError, StoreError
from segdesk.store.project import Project
from segdesk.store.records import CaseStatus
from tests.store.scans import SHAPE_KJI, write_image


def test_a_case_is_recorded_with_its_grid_and_channels(project, image):
    case = project.add_case("scan", {"t1": image}, patient_key="P1")
    assert project.cases() == (case,)
    assert case.shape_kji == SHAPE_KJI
    assert case.patient_key == "P1"
    assert "P1" not in repr(case)
    (channel,) = case.channels
    assert (channel.name, channel.path) == ("t1", image)


def test_a_case_is_found_by_id_and_by_name(project, case):
    assert project.case(case.id) == project.case("scan") == case
    with pytest.raises(NotFound):
        project.case("other")


def test_channels_keep_their_order_and_share_the_grid(project, tmp_path):
    paths = {name: write_image(tmp_path / f"{name}.nii.gz", seed) for seed, name in enumerate(("t2", "flair", "adc"))}
    case = project.add_case("multi", paths)
    assert list(project.images.read_channels(case.id)) == ["t2", "flair", "adc"]


def test_channels_on_different_grids_are_refused(project, image, tmp_path):
    moved = write_image(tmp_path / "moved.nii.gz", shift_mm=0.5)
    with pytest.raises(GeometryMismatch):
        project.add_case("multi", {"a": image, "b": moved})
    assert project.cases() == ()


def test_a_name_is_used_once(project, case, image):
    with pytest.raises(StoreError) as caught:
        project.add_case("scan", {"image": image})
    assert caught.value.code == "exists"


@pytest.mark.parametrize(("name", "channels"), [("", {"image": "x"}), ("scan", {})])
def test_a_case_needs_a_name_and_an_image(project, name, channels):
    with pytest.raises(StoreError):
        project.add_case(name, channels)


def test_a_missing_image_is_told(project, case, image):
    image.unlink()
    with pytest.raises(ReadError, match="not where it was") as caught:
        project.images.read_channels(case.id)
    assert caught.value.code == "image_changed"


@pytest.mark.parametrize("change", [{"seed": 4}, {"shift_mm": 1.0}], ids=["voxels", "grid"])
def test_a_changed_image_is_never_opened(project, case, image, change):
    write_image(image, **change)
    with pytest.raises(ReadError) as caught:
        project.images.read_channels(case.id)
    assert caught.value.code == "image_changed"


def test_a_recompressed_copy_is_the_same_image(project, case, image):
    import gzip

    image.write_bytes(gzip.compress(gzip.decompress(image.read_bytes()), 1))
    assert "image" in project.images.read_channels(case.id)


def test_a_project_moves_with_the_images_inside_it(tmp_path):
    project = Project.create(tmp_path / "a", "x")
    case = project.add_case("scan", {"image": write_image(project.folder / "images" / "scan.nii.gz")})
    project.close()
    (tmp_path / "a").rename(tmp_path / "b")
    assert "image" in Project.open(tmp_path / "b").images.read_channels(case.id)


def test_a_new_case_is_new_in_the_list(project, case):
    (summary,) = project.case_summaries()
    assert (summary.case, summary.status, summary.has_draft, summary.disputes) == (case, CaseStatus.NEW, False, None)
    assert (summary.reads_done, summary.reads_needed) == (0, 2)
