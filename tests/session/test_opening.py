import nibabel as nib
import numpy as np
import pytest

from segdesk.core.events import Change
from segdesk.errors import EditError, NeedsConsent, NotFound, ReadError, SaveFailed, SegdeskError, UsageError
from segdesk.io.limits import SizePolicy, use_policy
from segdesk.session import Session, SessionSettings
from segdesk.session.consent import allowing_large
from segdesk.store.records import RaterKind
from tests.session.toys import SHAPE_KJI, write_scan


def _dab(session, value=1, at=(5.0, 12.0, 10.0)):
    session.editor.active_value.value = value
    session.editor.begin_stroke()
    session.editor.paint(at, at, 0)
    session.editor.commit_stroke()


def test_a_case_opens_with_its_image_and_an_empty_mask(opened):
    case = opened.case
    assert case.volume.array.shape == SHAPE_KJI
    assert list(case.channels) == ["image"]
    assert not case.labels.array.any()
    assert case.labels.geometry.matches(case.volume.geometry)
    assert opened.editor.labels is case.labels


def test_opening_tells_what_changed_once(session, scan):
    (case,) = session.add_images([scan]).run()
    changes = []
    session.changed.connect(lambda change, source: changes.append(change))
    session.open_case(case.id).run()
    assert len(changes) == 1
    assert Change.VOLUME in changes[0]
    assert Change.LABELS in changes[0]
    assert Change.PROJECT not in changes[0]


def test_added_images_are_in_the_case_list(opened):
    (summary,) = opened.cases
    assert summary.case.name == "head"
    assert (summary.reads_done, summary.reads_needed) == (0, 2)


def test_two_images_of_one_name_become_two_cases(session, tmp_path):
    paths = [write_scan(tmp_path / folder / "head.nii.gz", seed) for seed, folder in enumerate("ab")]
    records = session.add_images(paths).run()
    assert [record.name for record in records] == ["head", "head-2"]


def test_an_image_without_a_project_goes_to_the_desk(tmp_path, scan):
    session = Session(settings=SessionSettings(desk_folder=tmp_path / "desk"))
    case = session.open_path(scan).run()
    assert session.case is case
    assert session.project.folder == tmp_path / "desk"
    assert session.project.required_reads == 1
    again = Session(settings=session.settings)
    assert again.open_path(scan).run().record == case.record


def test_an_image_that_is_a_case_is_opened_as_that_case(opened, scan):
    record = opened.case.record
    opened.open_path(scan).run()
    assert opened.case.record == record
    assert len(opened.cases) == 1


def test_a_project_folder_is_opened_as_one(session, tmp_path):
    other = Session(settings=SessionSettings(rater_name="Bob"))
    assert other.open_path(session.project.folder).run() is None
    assert other.project.name == "Heads"
    assert [rater.name for rater in other.raters] == ["Ann", "Bob"]


@pytest.mark.parametrize("make", ["text", "truncated", "missing", "empty folder"])
def test_what_cannot_be_opened_is_one_clear_error_and_changes_nothing(opened, tmp_path, scan, make):
    bad = tmp_path / "bad.nii.gz"
    if make == "text":
        bad.write_text("hello")
    elif make == "truncated":
        bad.write_bytes(scan.read_bytes()[:400])
    elif make == "empty folder":
        bad.mkdir()
    before = opened.case
    for task in (opened.open_path(bad), opened.add_images([bad])):
        with pytest.raises(SegdeskError) as caught:
            task.run()
        assert "\n" not in caught.value.message
    assert opened.case is before
    assert len(opened.project.cases()) == 1


def test_a_changed_image_is_not_opened(opened, scan):
    case = opened.case.record
    opened.close()
    opened.open_project(scan.parents[1] / "project").run()
    write_scan(scan, seed=9)
    with pytest.raises(ReadError) as caught:
        opened.open_case(case.id).run()
    assert caught.value.code == "image_changed"
    assert opened.case is None


def test_an_older_answer_is_dropped(session, tmp_path):
    first, second = session.add_images([write_scan(tmp_path / n, s) for s, n in enumerate(("a.nii", "b.nii"))]).run()
    slow, fast = session.open_case(first.id), session.open_case(second.id)
    answer = slow.work(lambda *_: None)
    fast.run()
    slow.apply(answer)
    assert session.case.record == second


def test_each_reader_has_an_own_mask(opened):
    _dab(opened)
    opened.save_labels().run()
    opened.use_rater("Bob").run()
    assert opened.rater.value.name == "Bob"
    assert not opened.case.labels.array.any()
    assert not opened.editor.can_undo.value
    _dab(opened, value=2)
    opened.use_rater("Ann").run()
    assert opened.case.labels.values() == (1,)
    opened.use_rater("Bob").run()
    assert opened.case.labels.values() == (2,)


def test_a_reader_is_chosen_before_a_case_is_open(session):
    session.use_rater("Sim", RaterKind.SIMULATED).run()
    assert session.rater.value.kind is RaterKind.SIMULATED
    assert [rater.name for rater in session.raters] == ["Ann", "Sim"]


def test_the_mask_comes_back_in_the_next_session(opened):
    _dab(opened)
    opened.save_labels().run()
    case, array = opened.case.record, opened.case.labels.array.copy()
    again = Session(settings=SessionSettings(rater_name="Ann"))
    again.open_project(opened.project.folder).run()
    again.open_case(case.id).run()
    np.testing.assert_array_equal(again.case.labels.array, array)
    assert again.last_saved.value == opened.last_saved.value


def test_saving_clears_the_dirty_flag_and_tells(opened):
    changes = []
    _dab(opened)
    assert opened.is_dirty.value
    opened.changed.connect(lambda change, source: changes.append(change))
    outcome = opened.save_labels().run()
    assert outcome.error is None
    assert not opened.is_dirty.value
    assert opened.last_saved.value == outcome.record.created
    assert changes == [Change.SAVED]


def test_an_edit_during_the_save_keeps_the_mask_dirty(opened):
    _dab(opened)
    task = opened.save_labels()
    outcome = task.work(lambda *_: None)
    _dab(opened, value=2)
    task.apply(outcome)
    assert opened.is_dirty.value
    assert opened.project.masks.load(outcome.record.sha256).values() == (1,)


def test_a_failed_save_is_told_and_keeps_the_work(opened):
    _dab(opened)
    (opened.project.folder / "masks").write_text("in the way")
    outcome = opened.save_labels().run()
    assert outcome.record is None
    assert opened.is_dirty.value
    assert opened.save_error.value == outcome.error.message
    (opened.project.folder / "masks").unlink()
    opened.save_labels().run()
    assert (opened.is_dirty.value, opened.save_error.value) == (False, "")


def test_unsaved_work_is_saved_before_another_case_opens(opened, tmp_path):
    (other,) = opened.add_images([write_scan(tmp_path / "other.nii.gz", 5)]).run()
    first = opened.case.record
    _dab(opened)
    opened.open_case(other.id).run()
    opened.open_case(first.id).run()
    assert opened.case.labels.array.any()


def test_a_case_that_was_edited_while_the_next_was_loading_stays(opened, tmp_path):
    (other,) = opened.add_images([write_scan(tmp_path / "other.nii.gz", 5)]).run()
    task = opened.open_case(other.id)
    result = task.work(lambda *_: None)
    _dab(opened)
    with pytest.raises(EditError, match="open it again"):
        task.apply(result)
    assert opened.case.labels.array.any()


def test_a_stroke_in_progress_is_not_cut_off_by_the_next_case(opened, tmp_path):
    (other,) = opened.add_images([write_scan(tmp_path / "other.nii.gz", 5)]).run()
    opened.editor.begin_stroke()
    with pytest.raises(EditError):
        opened.open_case(other.id).run()
    opened.editor.paint((5.0, 12.0, 10.0), (5.0, 12.0, 10.0), 0)
    assert opened.editor.commit_stroke()


def test_who_listens_to_the_reader_finds_their_mask(opened):
    seen = []
    opened.rater.changed.connect(lambda rater: seen.append((rater.name, opened.editor.labels is opened.case.labels)))
    opened.use_rater("Bob").run()
    assert seen == [("Bob", True)]


def test_unsaved_work_that_cannot_be_saved_keeps_the_case_open(opened):
    _dab(opened)
    (opened.project.folder / "masks").write_text("in the way")
    with pytest.raises(SegdeskError):
        opened.use_rater("Bob").run()
    assert opened.rater.value.name == "Ann"
    assert opened.case.labels.array.any()


def test_closing_clears_the_desk(opened):
    opened.close()
    assert (opened.case, opened.project, opened.rater.value, opened.cases) == (None, None, None, ())
    assert opened.editor.labels is None


def test_closing_with_unsaved_work_is_refused(opened):
    _dab(opened)
    with pytest.raises(SaveFailed):
        opened.close()
    opened.save_labels().run()
    opened.close()


def test_refreshing_shows_what_others_did(opened):
    opened.project.raters.get_or_add("Cem")
    opened.refresh().run()
    assert [rater.name for rater in opened.raters] == ["Ann", "Cem"]


def test_an_unknown_case_is_told(session):
    with pytest.raises(NotFound):
        session.open_case("nothing").run()


@pytest.mark.parametrize("call", ["save_labels", "refresh"])
def test_without_a_project_or_case_the_message_says_what_to_do(call):
    with pytest.raises(UsageError, match="open"):
        getattr(Session(), call)()


def test_a_folder_with_two_series_becomes_two_cases(session, tmp_path):
    for number in (1, 2):
        write_scan(tmp_path / "two" / f"s{number}.nii.gz", number)
    records = session.add_images([tmp_path / "two"]).run()
    assert len(records) == 2
    for record in records:
        opened = session.open_case(record.id).run()
        file = tmp_path / "two" / record.channels[0].series_uid
        np.testing.assert_array_equal(opened.volume.array, np.asarray(nib.load(file).dataobj).T)


def test_a_stroke_that_is_given_up_is_never_saved_or_voted(opened):
    _dab(opened)
    kept = opened.case.labels.array.copy()
    opened.editor.begin_stroke()
    opened.editor.paint((2.0, 4.0, 4.0), (2.0, 4.0, 15.0), 0)
    saved, vote = opened.save_labels().run().record, opened.panel.submit_read().run()
    opened.editor.abort_stroke()
    np.testing.assert_array_equal(opened.project.masks.load(saved.sha256).array, kept)
    np.testing.assert_array_equal(opened.project.masks.load(vote.mask_sha256).array, kept)
    np.testing.assert_array_equal(opened.case.labels.array, kept)


def test_a_large_image_that_was_agreed_to_opens_without_another_question(session, scan):
    with use_policy(SizePolicy(max_bytes=100)):
        with pytest.raises(NeedsConsent):
            session.add_images([scan]).run()
        (case,) = allowing_large(session.add_images([scan])).run()
        assert session.open_case(case.id).run().volume.array.shape == SHAPE_KJI
