"""Artifacts: stored files, and the rows that refer to them."""

import pytest

from registry.db.input_tables import Teacher
from registry.errors import StoredFileMissing
from registry.models import model_versions
from registry.storage import artifacts
from tests.registry.conftest import RegistryHarness


def test_a_file_that_another_upload_references_is_kept(harness: RegistryHarness) -> None:
    harness.upload_teacher(b"the same bytes")
    other = harness.upload_teacher(b"the same bytes")
    harness.fail_check()
    harness.pass_check()
    with harness.database.read() as session:
        digest = session.get_one(Teacher, other).sha256
    assert harness.store.exists(digest)


def test_only_unreferenced_files_are_deleted(harness: RegistryHarness) -> None:
    model = harness.finish(harness.start_job())
    stray = harness.store_file(b"stray")
    harness.run(artifacts.record, harness.store, stray)
    with harness.database.read() as session:
        assert [row.digest for row in artifacts.find_unreferenced(session)] == [stray.digest]
    assert harness.run(artifacts.delete_if_unreferenced, harness.store, stray.digest) is True
    assert harness.store.exists(stray.digest) is False
    with harness.database.read() as session:
        (file,) = model_versions.list_files(session, model)
    assert harness.run(artifacts.delete_if_unreferenced, harness.store, file.sha256) is False


def test_recording_a_file_that_was_just_deleted_fails(harness: RegistryHarness) -> None:
    stored = harness.store_file(b"bytes")
    harness.store.delete(stored.digest)
    with pytest.raises(StoredFileMissing):
        harness.run(artifacts.record, harness.store, stored)
