import errno
import sqlite3
from contextlib import closing

import pytest

from segdesk.errors import NotFound, SaveFailed, SchemaTooNew, StoreError, WriteError
from segdesk.store import backup
from segdesk.store.database import Database
from segdesk.store.migrate import migrate
from segdesk.store.project import Project
from segdesk.store.schema import MetaRow
from segdesk.store.share import refuse_network_share


def _raw(path):
    return closing(sqlite3.connect(path, isolation_level=None))


@pytest.fixture
def path(tmp_path):
    Project.create(tmp_path / "project", "Livers").close()
    return tmp_path / "project" / "project.segdesk"


def test_the_file_says_what_it_is_and_is_written_durably(path):
    database = Database.open(path)
    names = ("journal_mode", "synchronous", "foreign_keys", "user_version")
    with database.reading() as session:
        pragma = {name: session.connection().exec_driver_sql(f"PRAGMA {name}").scalar() for name in names}
    assert pragma == {"journal_mode": "delete", "synchronous": 2, "foreign_keys": 1, "user_version": 2}
    # PRAGMA application_id is bytes 68-71 of the header, sqlite.org/fileformat.html.
    assert path.read_bytes()[68:72] == bytes.fromhex("5e6de5c1")


def test_a_folder_without_a_project_is_not_found(tmp_path):
    with pytest.raises(NotFound):
        Project.open(tmp_path)


def test_a_second_project_in_the_folder_is_refused(path):
    with pytest.raises(StoreError, match="already") as caught:
        Project.create(path.parent, "Again")
    assert caught.value.code == "exists"


def test_a_project_is_opened_by_its_folder_or_its_file(path):
    assert Project.open(path).name == Project.open(path.parent).name == "Livers"


def test_a_newer_schema_is_refused_politely_and_untouched(path):
    with _raw(path) as file:
        file.execute("PRAGMA user_version=99")
    before = path.read_bytes()
    with pytest.raises(SchemaTooNew, match="update segdesk"):
        Project.open(path)
    assert path.read_bytes() == before


def test_another_sqlite_file_is_no_project(tmp_path):
    with _raw(tmp_path / "project.segdesk") as file:
        file.execute("CREATE TABLE t (x)")
    with pytest.raises(StoreError, match="no segdesk project"):
        Project.open(tmp_path)


@pytest.mark.parametrize("damage", ["text", "truncated", "zeroed page", "empty"])
def test_a_damaged_file_is_detected_at_open_and_left_as_it_is(path, damage):
    sound = path.read_bytes()
    broken = {
        "text": b"this is no database" * 100,
        "truncated": sound[: len(sound) // 2],
        "zeroed page": sound[:4096] + b"\0" * 4096 + sound[8192:],
        "empty": b"",
    }[damage]
    path.write_bytes(broken)
    with pytest.raises(StoreError, match=r"damaged|no segdesk project"):
        Project.open(path)
    assert path.read_bytes() == broken


def test_the_error_names_the_newest_backup(path):
    Project.open(path).close()
    newest = backup.backups_of(path)[-1]
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(StoreError, match=newest.name):
        Project.open(path)


def test_opening_makes_a_backup_only_when_something_changed(path):
    Project.open(path).close()
    Project.open(path).close()
    assert len(backup.backups_of(path)) == 1


def test_the_ring_keeps_the_newest_backups_and_each_opens(path):
    made = [backup.back_up(path, always=True) for _ in range(backup.KEPT + 2)]
    assert backup.backups_of(path) == made[2:]
    with _raw(made[-1]) as file:
        assert file.execute("SELECT value FROM meta WHERE key='name'").fetchone() == ("Livers",)


def test_a_backup_folder_that_cannot_be_made_does_not_keep_a_project_shut(path):
    (path.parent / "backups").write_text("a file")
    assert Project.open(path).name == "Livers"


def test_a_migration_is_one_transaction_with_a_backup(path):
    def step(file):
        file.execute("CREATE TABLE extra (x)")

    migrate(path, 2, 3, {2: step})
    with _raw(path) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (3,)
        assert file.execute("SELECT count(*) FROM extra").fetchone() == (0,)
    assert len(backup.backups_of(path)) == 1


def test_a_failed_migration_leaves_the_file_as_it_was(path):
    def step(file):
        file.execute("CREATE TABLE extra (x)")
        file.execute("INSERT INTO nowhere VALUES (1)")

    with pytest.raises(StoreError, match="left as it is"):
        migrate(path, 2, 3, {2: step})
    with _raw(path) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (2,)
        assert file.execute("SELECT name FROM sqlite_master WHERE name='extra'").fetchone() is None


def test_an_unknown_way_is_refused(path):
    with pytest.raises(StoreError, match="schema 0"):
        migrate(path, 0, 1)


def test_an_error_inside_a_block_rolls_everything_back(path):
    database = Database.open(path)

    def write_two(session):
        session.add(MetaRow(key="new", value="1"))
        session.flush()
        session.add(MetaRow(key="name", value="twice"))

    with pytest.raises(SaveFailed, match="could not be changed"), database.writing() as session:
        write_two(session)
    with database.reading() as session:
        assert session.get(MetaRow, "new") is None


def test_a_writer_who_waits_too_long_is_told(path, monkeypatch):
    monkeypatch.setattr("segdesk.store.database.BUSY_TIMEOUT_S", 0.05)
    database = Database.open(path)
    with _raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SaveFailed, match="locked"), database.writing() as session:
            session.add(MetaRow(key="new", value="1"))


@pytest.mark.parametrize("name", ["ein Ordner", "what? #1", "日本 'quoted'", "50%25"])
def test_folders_with_odd_names_work(tmp_path, name):
    Project.create(tmp_path / name, "x").close()
    assert Project.open(tmp_path / name).name == "x"


@pytest.mark.parametrize(("kind", "refused"), [("nfs4", True), ("cifs", True), ("ext4", False)])
def test_a_network_share_is_refused(tmp_path, kind, refused):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/a / ext4 rw 0 0\nserver:/x /mnt/my\\040share {kind} rw 0 0\nshort\n")
    folder = tmp_path.__class__("/mnt/my share/project")
    if refused:
        with pytest.raises(StoreError, match="network share"):
            refuse_network_share(folder, mounts)
    else:
        refuse_network_share(folder, mounts)


def test_where_mounts_are_not_listed_nothing_is_refused(tmp_path):
    refuse_network_share(tmp_path, tmp_path / "not there")


def test_a_project_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SaveFailed):
        Project.create(tmp_path / "file", "x")


def test_a_project_needs_at_least_one_read(tmp_path):
    with pytest.raises(StoreError):
        Project.create(tmp_path / "p", "x", required_reads=0)


def test_a_migration_that_damages_the_file_is_taken_back(path, monkeypatch):
    monkeypatch.setattr("segdesk.store.migrate._problem", lambda file: "row missing from index")
    with pytest.raises(StoreError, match="row missing"):
        migrate(path, 2, 3, {2: lambda file: None})
    with _raw(path) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (2,)


def test_a_project_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("segdesk.store.database.append_only_triggers", lambda: ["CREATE nonsense"])
    with pytest.raises(SaveFailed, match="could not be changed"):
        Project.create(tmp_path / "p", "x")
    assert not (tmp_path / "p" / "project.segdesk").exists()


def test_a_project_folder_is_recognised(path, tmp_path):
    assert Project.is_project(path)
    assert Project.is_project(path.parent)
    assert not Project.is_project(tmp_path)


def test_a_backup_that_cannot_be_written_does_not_keep_a_project_shut(path, monkeypatch):
    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(backup, "_copy", full)
    assert Project.open(path).name == "Livers"
    assert backup.backups_of(path) == []


def test_nothing_is_migrated_without_a_backup(path):
    (path.parent / "backups").write_text("a file")
    with pytest.raises(WriteError, match="backups"):
        migrate(path, 2, 3, {2: lambda file: file.execute("CREATE TABLE extra (x)")})
    with _raw(path) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (2,)


def test_a_name_that_is_no_text_is_told(path):
    with pytest.raises(StoreError, match="rename"):
        Project.open(path).raters.get_or_add("Ann\udcff")
