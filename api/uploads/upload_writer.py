"""Writer for resumable uploads.

Each request stores its bytes as they arrive, and holds a lease on the upload until the request
ends. The request that completes the file also assembles it.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from threading import Event, Thread
from time import monotonic

from starlette.requests import ClientDisconnect

from api.deps import Services
from api.uploads.tus import Checksum
from registry.access import audit
from registry.errors import UploadTooLarge
from registry.storage import artifacts
from registry.uploads import resumable_uploads
from registry.uploads.resumable_uploads import LEASE_DURATION, UploadLease
from registry.uploads.upload_errors import (
    ChecksumMismatch,
    UploadCorrupt,
    UploadLocked,
    UploadPartOutOfRange,
)
from registry.uploads.upload_parts import REQUEST_BYTES, ExpectedFile, UploadPart, open_upload_parts

_LEASE_RENEWAL_SECONDS = LEASE_DURATION.total_seconds() / 3
_RESTART_HINT = "Start a new upload that declares the actual size of the file."
_log = logging.getLogger(__name__)


class UploadWriter:
    """Writes the bytes of one request to an upload."""

    def __init__(self, services: Services, lease: UploadLease, actor: str) -> None:
        self._services = services
        self._lease = lease
        self._actor = actor
        self._part_store = open_upload_parts(services.store)
        self._renewed_at = monotonic()
        self.offset = lease.received

    def append(
        self, body: Iterator[bytes], content_length: int | None, checksum: Checksum | None
    ) -> None:
        """Store the body, and assemble the file once it is complete.

        With a checksum, either all bytes or no bytes are kept. Without a checksum, the bytes
        received before a disconnect are kept.

        Raises:
            UploadTooLarge: The body exceeds the declared size of the file.
            ChecksumMismatch: The body does not match the checksum. None of it is kept.
        """
        self._check_size(content_length or 0)
        digest = (
            None if checksum is None else hashlib.new(checksum.algorithm, usedforsecurity=False)
        )
        try:
            for block in _iter_blocks(body):
                self._check_size(len(block))
                self._write_block(block, save_progress=digest is None)
                if digest is not None:
                    digest.update(block)
        except ClientDisconnect:
            _log.info(
                "Upload %s: client disconnected after %d of %d bytes",
                self._lease.id,
                self.offset,
                self._lease.size,
            )
            return  # no client is left to receive a response
        if checksum is not None and digest is not None:
            if digest.digest() != checksum.digest:
                raise ChecksumMismatch(
                    f"The received bytes do not match the {checksum.algorithm} checksum."
                )
            self._save_progress(self.offset)
        self.finish_if_complete()

    def finish_if_complete(self) -> None:
        """Store the file if all bytes have been received and it is not stored yet."""
        if self.offset == self._lease.size and not self._lease.stored:
            self._store_file()

    def sign_part_urls(self, parts: Sequence[UploadPart], lifetime: timedelta) -> list[str]:
        """Return signed URLs to which a client can send these parts directly.

        Raises:
            DirectUploadUnavailable: The store does not accept direct uploads.
            UploadPartOutOfRange: A part overlaps bytes that the service has received, or extends
                beyond the end of the file.
            UploadTooLarge: The parts already sent to the store are far larger than the remainder of
                the file.
        """
        remaining = self._lease.size - self.offset
        for index, part in enumerate(parts):
            if part.offset < self.offset or part.end > self._lease.size:
                raise UploadPartOutOfRange(
                    f"The part is not within the missing bytes {self.offset} to "
                    f"{self._lease.size}.",
                    pointer=f"/parts/{index}",
                )
        stored_bytes = sum(part.size for part in self._part_store.list_parts(self._lease.id))
        # Twice the size is allowed, because parts with other bounds may remain from an earlier try.
        if stored_bytes > 2 * remaining:
            raise UploadTooLarge(
                f"The parts already sent contain {stored_bytes} bytes, but only {remaining} bytes "
                "of the file are missing.",
                hint=_RESTART_HINT,
            )
        urls = [
            self._part_store.signed_url(self._lease.id, part.offset, lifetime) for part in parts
        ]
        with self._services.database.write() as session:
            audit.record_event(
                session, self._actor, "upload.signed", self._lease.id, parts=len(parts)
            )
        return urls

    def complete(self) -> None:
        """Store the file, including parts that the client has sent to the object store.

        Nothing happens if the file is already stored.
        """
        if not self._lease.stored:
            self._store_file()

    def delete(self, reason: str) -> None:
        """Delete the upload and its bytes."""
        with self._services.database.write() as session:
            resumable_uploads.delete_upload(session, self._lease, actor=self._actor, reason=reason)
        self._part_store.discard(self._lease.id)

    def _check_size(self, extra_bytes: int) -> None:
        if self.offset + extra_bytes > self._lease.size:
            raise UploadTooLarge(
                f"The upload exceeds its declared size of {self._lease.size} bytes.",
                hint=_RESTART_HINT,
            )

    def _write_block(self, block: bytearray, *, save_progress: bool) -> None:
        # A slow request that has lost its lease must notice this before it writes.
        if monotonic() - self._renewed_at > _LEASE_RENEWAL_SECONDS:
            self._save_progress()
        self._part_store.write(self._lease.id, self.offset, block)
        self.offset += len(block)
        if save_progress:
            self._save_progress(self.offset)

    def _save_progress(self, received: int | None = None) -> None:
        with self._services.database.write() as session:
            resumable_uploads.renew(session, self._lease, received)
        self._renewed_at = monotonic()

    @contextmanager
    def _renew_lease_in_background(self) -> Iterator[None]:
        """Keep renewing the lease within the `with` block, which may take longer than the lease.

        If the lease is lost, the next write after the block fails.
        """
        done = Event()

        def renew() -> None:
            with suppress(UploadLocked):
                while not done.wait(_LEASE_RENEWAL_SECONDS):
                    self._save_progress()

        thread = Thread(target=renew, name="upload-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _store_file(self) -> None:
        lease = self._lease
        try:
            with self._renew_lease_in_background():
                stored = self._part_store.assemble(
                    lease.id, ExpectedFile(lease.size, self.offset, lease.sha256)
                )
        except UploadCorrupt:
            self.delete("corrupt")
            raise
        with self._services.database.write() as session:
            artifacts.record(session, self._services.store, stored)
            resumable_uploads.finish(session, lease, stored, actor=self._actor)
        self._part_store.discard(lease.id)


@contextmanager
def open_upload_writer(
    services: Services, upload_id: str, actor: str, *, offset: int | None = None
) -> Iterator[UploadWriter]:
    """Yield a writer for an upload, and hold the lease on the upload within the `with` block.

    Raises:
        NotFound: The upload does not exist or has expired.
        UploadLocked: Another request holds the lease.
        OffsetMismatch: The number of bytes received so far is not `offset`.
    """
    with services.database.write() as session:
        lease = resumable_uploads.acquire(session, upload_id, offset=offset)
    try:
        yield UploadWriter(services, lease, actor)
    finally:
        with services.database.write() as session:
            resumable_uploads.release(session, lease, ttl=get_upload_lifetime(services))


def get_upload_lifetime(services: Services) -> timedelta:
    """Return the time after which an upload without further requests expires."""
    return timedelta(seconds=services.settings.upload_seconds)


def _iter_blocks(body: Iterator[bytes]) -> Iterator[bytearray]:
    """Yield the body in blocks. Each is large enough to justify a database write.

    If the client disconnects, the bytes received so far are yielded before the exception is raised.
    """
    block, disconnect = bytearray(), None
    try:
        for chunk in body:
            block += chunk
            if len(block) >= REQUEST_BYTES:
                yield block
                block = bytearray()
    except ClientDisconnect as error:
        disconnect = error
    if block:
        yield block
    if disconnect is not None:
        raise disconnect
