"""Database rows of resumable uploads. Only the current lease holder may change them."""

from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from registry.access import quotas
from registry.access.permissions import Principal
from registry.access.quotas import QuotaLimits
from registry.db.input_tables import Upload
from registry.errors import NotFound, QuotaExceeded
from registry.storage import artifacts
from registry.uploads import resumable_uploads
from registry.uploads.resumable_uploads import UploadInfo, UploadLease
from registry.uploads.upload_errors import (
    OffsetMismatch,
    UploadLocked,
    UploadUnfinished,
    UploadUnknown,
)
from tests.registry.conftest import RegistryHarness

DAY = timedelta(days=1)
PAST = timedelta(seconds=-1)


def create_upload(harness: RegistryHarness, size: int = 10, ttl: timedelta = DAY) -> str:
    return str(
        harness.run(resumable_uploads.create, harness.principal, UploadInfo(size), ttl=ttl).id
    )


def get_upload(harness: RegistryHarness, upload_id: str) -> Upload:
    with harness.database.read() as session:
        return session.get_one(Upload, upload_id)


def expire_lease(harness: RegistryHarness, lease: UploadLease) -> None:
    """Move the expiry of the lease into the past."""
    with harness.database.write() as session:
        at = resumable_uploads.now(session) + PAST
        session.execute(update(Upload).where(Upload.id == lease.id).values(held_until=at))


def test_only_one_request_can_write(harness: RegistryHarness) -> None:
    upload = create_upload(harness)
    first = harness.run(resumable_uploads.acquire, upload, offset=0)
    with pytest.raises(UploadLocked):
        harness.run(resumable_uploads.acquire, upload, offset=0)
    harness.run(resumable_uploads.renew, first, 4)
    harness.run(resumable_uploads.release, first, ttl=DAY)
    assert harness.run(resumable_uploads.acquire, upload, offset=4).received == 4


def test_only_one_of_several_concurrent_requests_gets_the_lease(harness: RegistryHarness) -> None:
    upload, barrier, leases = create_upload(harness), Barrier(4), []

    def request() -> None:
        barrier.wait()
        try:
            leases.append(harness.run(resumable_uploads.acquire, upload, offset=0))
        except UploadLocked:
            leases.append(None)

    threads = [Thread(target=request) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(lease is not None for lease in leases) == [False, False, False, True]


def test_a_wrong_offset_is_refused_and_leaves_no_lease(harness: RegistryHarness) -> None:
    upload = create_upload(harness)
    with pytest.raises(OffsetMismatch) as caught:
        harness.run(resumable_uploads.acquire, upload, offset=3)
    assert caught.value.received == 0
    assert get_upload(harness, upload).holder is None


def test_an_expired_lease_cannot_write_after_another_request_has_taken_over(
    harness: RegistryHarness,
) -> None:
    upload = create_upload(harness)
    first = harness.run(resumable_uploads.acquire, upload)
    expire_lease(harness, first)
    harness.run(resumable_uploads.renew, first, 2)  # expired, but still the last lease
    expire_lease(harness, first)
    second = harness.run(resumable_uploads.acquire, upload, offset=2)
    with pytest.raises(UploadLocked):
        harness.run(resumable_uploads.renew, first, 9)
    with pytest.raises(UploadLocked):
        harness.run(resumable_uploads.delete_upload, first, actor="key_1", reason="terminated")
    harness.run(resumable_uploads.release, first, ttl=DAY)
    assert (get_upload(harness, upload).received, get_upload(harness, upload).holder) == (
        2,
        second.holder,
    )


def test_expired_uploads_are_hidden_and_deleted_unless_leased(
    harness: RegistryHarness,
) -> None:
    expired, leased = create_upload(harness, ttl=PAST), create_upload(harness)
    with pytest.raises(NotFound):
        harness.run(resumable_uploads.acquire, expired)
    lease = harness.run(resumable_uploads.acquire, leased)
    with harness.database.write() as session:
        session.execute(
            update(Upload)
            .where(Upload.id == leased)
            .values(expires_at=resumable_uploads.now(session) + PAST)
        )
    assert harness.run(resumable_uploads.list_expired) == [expired]
    assert [
        harness.run(resumable_uploads.delete_expired, upload)
        for upload in (expired, leased, expired)
    ] == [True, False, False]
    harness.run(resumable_uploads.release, lease, ttl=DAY)
    assert harness.run(resumable_uploads.list_expired) == []


def finish_upload(harness: RegistryHarness, content: bytes) -> str:
    upload, stored = create_upload(harness, len(content)), harness.store_file(content)
    lease = harness.run(resumable_uploads.acquire, upload)
    with harness.database.write() as session:
        artifacts.record(session, harness.store, stored)
        resumable_uploads.finish(session, lease, stored, actor="key_1")
    harness.run(resumable_uploads.release, lease, ttl=DAY)
    return upload


def test_a_finished_upload_can_be_used_by_its_owner(harness: RegistryHarness) -> None:
    upload, unfinished = finish_upload(harness, b"content"), create_upload(harness)
    assert (
        harness.run(
            resumable_uploads.get_finished, upload, visible_owner=harness.principal.owner
        ).size
        == 7
    )
    assert harness.run(resumable_uploads.get_finished, upload, visible_owner=None).size == 7
    for name, visible, error in (
        (upload, "other", UploadUnknown),
        ("upload_0", None, UploadUnknown),
        (unfinished, None, UploadUnfinished),
    ):
        with pytest.raises(error) as caught:
            harness.run(resumable_uploads.get_finished, name, visible_owner=visible)
        assert caught.value.pointer == "/upload_id"


def test_the_file_is_kept_as_long_as_the_upload(harness: RegistryHarness) -> None:
    upload = finish_upload(harness, b"content")
    digest = str(get_upload(harness, upload).digest)
    assert not harness.run(artifacts.delete_if_unreferenced, harness.store, digest)
    with harness.database.write() as session:
        session.execute(
            update(Upload)
            .where(Upload.id == upload)
            .values(expires_at=resumable_uploads.now(session) + PAST)
        )
    assert harness.run(resumable_uploads.delete_expired, upload)
    assert harness.run(artifacts.delete_if_unreferenced, harness.store, digest)


def create_within_quota(
    session: Session, principal: Principal, size: int, limits: QuotaLimits
) -> None:
    resumable_uploads.create(session, principal, UploadInfo(size), ttl=DAY)
    quotas.check_bytes(session, principal.owner, limits)


def count_used_bytes(harness: RegistryHarness) -> Any:
    with harness.database.read() as session:
        return quotas.get_usage(session, harness.principal.owner, QuotaLimits()).stored_bytes.used


def test_an_upload_counts_toward_the_quota_until_it_is_used(
    harness: RegistryHarness,
) -> None:
    upload = create_upload(harness, 60)
    assert count_used_bytes(harness) == 60
    with pytest.raises(QuotaExceeded):
        harness.run(create_within_quota, harness.principal, 50, QuotaLimits(stored_bytes=100))
    assert count_used_bytes(harness) == 60
    harness.run(resumable_uploads.mark_used, upload)
    assert count_used_bytes(harness) == 0
