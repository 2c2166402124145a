"""Maintenance commands for the store and the database, which need no running service."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from registry.db.database import Database
from registry.db.input_tables import Teacher
from registry.settings import Settings
from registry.storage import artifacts
from registry.storage.object_store import Store, StoredFile
from tests.dlkd_client.cli_runner import run_dlkd

CONTENTS = [f"file {number}".encode() for number in range(4)]
AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DLKD_DATA", str(tmp_path / "data"))
    assert run_dlkd("db", "upgrade").exit_code == 0
    return tmp_path / "data"


@pytest.fixture
def store(data: Path) -> Store:
    assert data.exists()
    return Store(Settings().store_url)


@pytest.fixture
def files(store: Store) -> list[StoredFile]:
    """Store files and return them.

    The first file belongs to two teachers, and each of the others belongs to one.
    """
    database, stored = (
        Database(Settings().database_url),
        [store.put([content]) for content in CONTENTS],
    )
    with database.write() as session:
        for file in stored:
            artifacts.record(session, store, file)
        session.add_all(
            teacher(f"teacher_{number}", file) for number, file in enumerate([*stored, stored[0]])
        )
    database.close()
    return stored


def teacher(row: str, file: StoredFile) -> Teacher:
    fields = {
        "owner": "me",
        "name": "t",
        "filename": "t.pt",
        "status": "ready",
        "format": "torch",
        "options": {},
    }
    return Teacher(
        id=row, sha256=file.digest, size=file.size, check_job_id="job_0", created_at=AT, **fields
    )


def path_of(store: Store, file: StoredFile) -> Path:
    path = store.local_path(file.digest)
    assert path is not None
    return path


def test_a_consistent_store_passes_the_check(files: list[StoredFile]) -> None:
    for read in ([], ["--read"]):
        checked = run_dlkd("admin", "check", *read)
        assert (checked.exit_code, checked.stdout) == (0, ""), len(files)
        assert "Every file that the database refers to is in the store." in checked.stderr


def test_missing_and_corrupt_files_are_listed_with_their_rows(
    store: Store, files: list[StoredFile]
) -> None:
    path_of(store, files[0]).unlink()
    path_of(store, files[1]).write_bytes(b"file 1 and more")
    path_of(store, files[2]).write_bytes(b"FILE 2")
    store.put([b"unreferenced"])
    lost = [
        {"problem": "missing", "sha256": files[0].digest, "row": f"teacher_{number}"}
        for number in (0, 4)
    ]
    grown = {"problem": "size differs", "sha256": files[1].digest, "row": "teacher_1"}
    changed = {"problem": "bytes differ", "sha256": files[2].digest, "row": "teacher_2"}
    for read, expected in (([], [*lost, grown]), (["--read"], [*lost, grown, changed])):
        checked = run_dlkd("admin", "check", "--json", *read)
        assert checked.exit_code == 1
        faults = [json.loads(line) for line in checked.stdout.splitlines()]
        assert faults == sorted(expected, key=lambda fault: (fault["sha256"], fault["row"]))
    assert f"teacher_4 {files[0].digest} missing" in run_dlkd("admin", "check").stdout


def test_a_copy_skips_files_that_the_target_has(
    store: Store, files: list[StoredFile], tmp_path: Path
) -> None:
    store.put_bytes("checkpoints/job_1/1-10", b"half a student")
    store.put_bytes("uploads/upload_1", b"half a file")
    first = run_dlkd("admin", "copy", Settings().store_url, str(tmp_path / "copy"))
    assert first.exit_code == 0
    copy = Store(f"file://{tmp_path}/copy")
    names = {f"objects/{file.digest[:2]}/{file.digest}" for file in files} | {
        "checkpoints/job_1/1-10"
    }
    assert {entry.key for entry in copy.list_entries("")} == names
    assert {line.split()[1] for line in first.stdout.splitlines()} == names
    later = store.put([b"later"])
    (line,) = run_dlkd(
        "admin", "copy", Settings().store_url, str(tmp_path / "copy"), "--json"
    ).stdout.splitlines()
    assert json.loads(line) == {
        "bytes": 5,
        "name": f"objects/{later.digest[:2]}/{later.digest}",
        "problem": None,
    }
    assert b"".join(copy.read(later.digest)) == b"later"


def test_a_corrupt_file_is_reported_and_others_are_copied(
    store: Store, files: list[StoredFile], tmp_path: Path
) -> None:
    path_of(store, files[1]).write_bytes(b"FILE 1")
    copied = run_dlkd("admin", "copy", Settings().store_url, str(tmp_path / "copy"))
    assert copied.exit_code == 1
    assert "1 files could not be copied" in copied.stderr
    copy = Store(f"file://{tmp_path}/copy")
    assert [copy.exists(file.digest) for file in files] == [True, False, True, True]
