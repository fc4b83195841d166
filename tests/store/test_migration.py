"""A project that segdesk wrote with schema 1, in the words of its own dump."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from segdesk.store import backup
from segdesk.store.judgements import Decision
from segdesk.store.project import Project
from segdesk.store.records import PROJECT_FILE, MaskRole, Verdict
from segdesk.store.schema import APPLICATION_ID
from tests.store.scans import one_voxel, write_image

_DUMP = Path(__file__).with_name("schema_v1.sql")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    folder = tmp_path / "old"
    write_image(folder / "images" / "scan.nii.gz")
    with closing(sqlite3.connect(folder / PROJECT_FILE)) as file:
        file.executescript(_DUMP.read_text(encoding="utf-8"))
        file.execute(f"PRAGMA application_id={APPLICATION_ID}")
        file.execute("PRAGMA user_version=1")
    return folder


def _shape_of(path: Path) -> dict[str, object]:
    """Return tables with their columns, keys and indexes, and the triggers, as SQLite sees them."""
    with closing(sqlite3.connect(path)) as file:
        names = [row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY name")]
        found: dict[str, object] = {}
        for name in names:
            # Columns by name: one that was added later stands at the end.
            columns = sorted(row[1:] for row in file.execute(f"PRAGMA table_info({name})"))
            keys = sorted(row[2:5] for row in file.execute(f"PRAGMA foreign_key_list({name})"))
            indexes = sorted(
                (row[2], row[3], [column[2] for column in file.execute(f"PRAGMA index_info({row[1]})")])
                for row in file.execute(f"PRAGMA index_list({name})").fetchall()
            )
            found[name] = (columns, keys, indexes)
        triggers = "SELECT name, sql FROM sqlite_master WHERE type='trigger' ORDER BY name"
        found["triggers"] = file.execute(triggers).fetchall()
        names_of_indexes = "SELECT name FROM sqlite_master WHERE type='index' AND sql IS NOT NULL ORDER BY name"
        found["indexes"] = file.execute(names_of_indexes).fetchall()
    return found


def test_an_old_project_becomes_what_a_new_one_is(old: Path, tmp_path: Path) -> None:
    Project.open(old).close()
    Project.create(tmp_path / "new", "New").close()
    assert _shape_of(old / PROJECT_FILE) == _shape_of(tmp_path / "new" / PROJECT_FILE)


def test_the_cases_of_an_old_project_are_there_and_can_be_judged(old: Path) -> None:
    project = Project.open(old)
    (case,) = project.cases()
    assert (case.name, case.shape_kji, case.grid) == ("scan", (4, 6, 5), None)
    geometry = project.images.read_channels(case.id)["image"].geometry
    draft = project.masks.save(one_voxel(geometry), case.id, MaskRole.CANDIDATE)
    ann = project.raters.get_or_add("Ann")
    project.judgements.append(Decision(draft.sha256, ann.id, Verdict.ACCEPTED, (1,), (1,)))
    assert [record.verdict for record in project.judgements.of_case(case.id)] == [Verdict.ACCEPTED]
    assert project.verify() == ()


def test_the_old_file_is_backed_up_before(old: Path) -> None:
    Project.open(old).close()
    versions = []
    for copy in backup.backups_of(old / PROJECT_FILE):
        with closing(sqlite3.connect(copy)) as file:
            versions.append(file.execute("PRAGMA user_version").fetchone()[0])
    assert set(versions) == {1}


def test_a_new_case_remembers_its_grid(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p", "New")
    added = project.add_case("scan", {"image": write_image(tmp_path / "scan.nii.gz")})
    grid = project.images.read_channels(added.id)["image"].geometry
    assert added.grid == grid
    assert project.case(added.id).grid == grid
    assert project.case_summaries()[0].case.grid.spacing_kji_mm == pytest.approx((2.5, 0.8, 0.7))
