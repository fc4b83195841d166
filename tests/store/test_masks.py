import numpy as np
import pytest

from segdesk.core.geometry import Geometry
from segdesk.core.provenance import OriginKind
from segdesk.errors import GeometryMismatch, NotFound
from segdesk.store.ballots import Ballot
from segdesk.store.masks import WORKING_KEPT
from segdesk.store.records import MaskRole
from tests.store.scans import one_voxel


@pytest.fixture
def ann(project):
    return project.raters.get_or_add("Ann")


def test_a_saved_mask_is_loaded_with_its_origin(project, case, mask, ann):
    record = project.masks.save(mask(5, author="Ann", parents=("x",)), case.id, MaskRole.WORKING, ann.id)
    assert (record.author, record.parents, record.origin_kind) == ("Ann", ("x",), OriginKind.HUMAN)
    assert project.masks.record(record.sha256) == record
    assert project.masks.load(record.sha256).array[1, 2, 3] == 5


def test_the_working_mask_is_each_readers_own_and_newest(project, case, mask, ann):
    bob = project.raters.get_or_add("Bob")
    project.masks.save(mask(1), case.id, MaskRole.WORKING, ann.id)
    newest = project.masks.save(mask(2), case.id, MaskRole.READ, ann.id)
    project.masks.save(mask(3), case.id, MaskRole.WORKING, bob.id)
    project.masks.save(mask(4), case.id, MaskRole.CANDIDATE)
    assert project.masks.working(case.id, ann.id) == newest
    assert project.masks.working(case.id, "nobody") is None


def test_older_snapshots_go_but_reads_and_other_readers_stay(project, case, mask, ann):
    bob = project.raters.get_or_add("Bob")
    read = project.masks.save(mask(1), case.id, MaskRole.READ, ann.id)
    other = project.masks.save(mask(1), case.id, MaskRole.WORKING, bob.id)
    saved = [project.masks.save(mask(n), case.id, MaskRole.WORKING, ann.id) for n in range(1, 8)]
    kept = project.masks.of_case(case.id)
    assert [record.sha256 for record in kept] == [r.sha256 for r in (read, other, *saved[-WORKING_KEPT:])]
    files = {path.stem for path in (project.folder / "masks").rglob("*.zip")}
    assert files == {record.sha256 for record in kept}


def test_masks_are_listed_by_role(project, case, mask):
    draft = project.masks.save(mask(4), case.id, MaskRole.CANDIDATE)
    project.masks.save(mask(5), case.id, MaskRole.REFERENCE)
    assert project.masks.of_case(case.id, MaskRole.CANDIDATE) == (draft,)
    assert project.case_summaries()[0].has_draft


def test_the_same_mask_twice_is_one_record(project, case, mask):
    labels = mask(1)
    assert project.masks.save(labels, case.id, MaskRole.CANDIDATE) == project.masks.save(
        labels, case.id, MaskRole.CANDIDATE
    )


def test_a_mask_on_another_grid_is_refused_and_nothing_written(project, case):
    other = one_voxel(Geometry.from_spacing(case.shape_kji))
    with pytest.raises(GeometryMismatch):
        project.masks.save(other, case.id, MaskRole.WORKING)
    assert not (project.folder / "masks").exists()


def test_a_mask_of_an_unknown_case_is_refused(project, case, mask):
    with pytest.raises(NotFound):
        project.masks.save(mask(), "no case", MaskRole.WORKING)


def test_an_unknown_mask_is_not_found(project):
    with pytest.raises(NotFound):
        project.masks.record("ab" * 32)


def test_ancestors_are_followed_to_the_start(project, case, mask):
    first = project.masks.save(mask(1, kind=OriginKind.MODEL, weights_sha256="w"), case.id, MaskRole.CANDIDATE)
    second = project.masks.save(mask(2, parents=(first.sha256, "elsewhere")), case.id, MaskRole.READ)
    third = project.masks.save(mask(3, parents=(second.sha256, first.sha256)), case.id, MaskRole.CONSENSUS)
    assert {record.sha256 for record in project.masks.ancestors(third.sha256)} == {second.sha256, first.sha256}
    assert project.masks.ancestors(first.sha256) == ()


def test_verify_names_a_damaged_mask(project, case, mask):
    record = project.masks.save(mask(1), case.id, MaskRole.CANDIDATE)
    assert project.verify() == ()
    (project.folder / "masks" / record.sha256[:2] / f"{record.sha256}.zip").write_bytes(b"")
    (problem,) = project.verify()
    assert record.sha256[:12] in problem


def test_masks_are_saved_from_many_threads(project, case, mask, ann):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        records = list(pool.map(lambda n: project.masks.save(mask(n), case.id, MaskRole.READ, ann.id), range(1, 13)))
    assert len({record.sha256 for record in records}) == 12
    assert {int(project.masks.load(r.sha256).array.max()) for r in records} == set(range(1, 13))
    assert np.unique([r.case_id for r in records]).tolist() == [case.id]


def test_a_snapshot_that_was_voted_with_stays(project, case, mask, ann):
    voted = project.masks.save(mask(1), case.id, MaskRole.WORKING, ann.id)
    project.votes.append(Ballot(case.id, ann.id, voted.sha256))
    for n in range(2, 9):
        project.masks.save(mask(n), case.id, MaskRole.WORKING, ann.id)
    assert project.masks.load(voted.sha256).array[1, 2, 3] == 1
    assert len(project.masks.of_case(case.id)) == 1 + WORKING_KEPT
