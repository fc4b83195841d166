from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdesk.errors import SegdeskError
from segdesk.nn.split import held_out, read_table, share, subject_of

_names = st.sets(st.text(min_size=1, max_size=8), min_size=1, max_size=40)


@given(_names, st.floats(0.05, 0.95))
def test_both_parts_hold_someone_when_there_are_two(names: set[str], fraction: float) -> None:
    chosen = held_out(names, fraction, "test")
    assert chosen <= names
    if len(names) >= 2:
        assert 0 < len(chosen) < len(names)
    else:
        assert not chosen


def test_more_patients_never_move_a_patient() -> None:
    few = [f"p{n}" for n in range(40)]
    many = [f"p{n}" for n in range(400)]
    assert held_out(few, 0.25, "test") == held_out(many, 0.25, "test") & set(few)
    assert 60 < len(held_out(many, 0.25, "test")) < 140


def test_salts_make_independent_splits_and_runs_agree() -> None:
    assert share("p1", "test") == share("p1", "test")
    assert share("p1", "test") != share("p1", "fold")


def test_bids_subject_is_found_in_folders_and_file_names() -> None:
    assert subject_of("sub-01/anat/sub-01_T1w.nii.gz") == "sub-01"
    assert subject_of("imagesTr/case_sub-7b_0000.nii.gz") == "sub-7b"
    assert subject_of("imagesTr/nosub_0000.nii.gz") is None


def test_tables_with_missing_columns_or_contradictions_are_refused(tmp_path: Path) -> None:
    table = tmp_path / "patients.csv"
    table.write_text("case,patient\na,1\nb,1\n")
    assert read_table(table, "case", "patient") == {"a": "1", "b": "1"}
    for text in ("case,person\na,1\n", "case,patient\na,\n", "case,patient\na,1\na,2\n"):
        table.write_text(text)
        with pytest.raises(SegdeskError) as caught:
            read_table(table, "case", "patient")
        assert caught.value.code == "bad_dataset"
    with pytest.raises(SegdeskError, match="cannot be read"):
        read_table(tmp_path / "none.csv", "case", "patient")
