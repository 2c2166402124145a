"""The bytes of one request of an upload that comes in several: held, kept as they come, and the whole published at its end."""

import hashlib
import logging
from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from threading import Event, Thread
from time import monotonic

from starlette.requests import ClientDisconnect

from api.deps import Services
from registry import artifacts, audit, resumable
from registry.errors import UploadTooLarge
from registry.partials import PART, Part, Whole, partials
from registry.resumable import HOLD, Held
from registry.upload_errors import ChecksumDiffers, ChecksumUnknown, PartOutside, UploadCorrupt, UploadLocked

ALGORITHMS = ("sha256", "sha1")
_RENEW_SECONDS = HOLD.total_seconds() / 3
_BEGIN_NEW = "Begin a new upload with the length that it has."
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checksum:
    """What the bytes of one request must hash to."""

    algorithm: str
    digest: bytes

    @classmethod
    def of(cls, header: str) -> "Checksum":
        """From `Upload-Checksum`; `ChecksumUnknown` where it is none of ours."""
        algorithm, _, text = header.strip().partition(" ")
        try:
            digest = b64decode(text, validate=True)
        except (NoBase64, ValueError) as error:
            raise ChecksumUnknown("The checksum is not base64.") from error
        if algorithm not in ALGORITHMS:
            raise ChecksumUnknown(f"There is no checksum {algorithm!r} here.")
        return cls(algorithm, digest)


class Reception:
    """One request that writes to an upload."""

    def __init__(self, services: Services, held: Held, actor: str) -> None:
        self._services = services
        self._held = held
        self._actor = actor
        self._partials = partials(services.store)
        self._renewed = monotonic()
        self.position = held.received

    def take(self, body: Iterator[bytes], claimed: int | None, checksum: Checksum | None) -> None:
        """Keeps what comes; with a checksum, all of it or nothing.

        Raises:
            UploadTooLarge: more than the upload was to have.
            ChecksumDiffers: nothing of this request counts.
        """
        self._check_room(claimed or 0)
        came = None if checksum is None else hashlib.new(checksum.algorithm, usedforsecurity=False)
        try:
            for block in _blocks(body):
                self._check_room(len(block))
                self._write(block, keep=came is None)
                if came is not None:
                    came.update(block)
        except ClientDisconnect:
            _log.info("the connection of %s broke off at %d of %d bytes", self._held.id, self.position, self._held.size)
            return  # nobody waits for an answer
        if checksum is not None and came is not None:
            if came.digest() != checksum.digest:
                raise ChecksumDiffers(f"The bytes that came have another {checksum.algorithm}.")
            self._keep(self.position)
        self.end()

    def end(self) -> None:
        """Stores the whole, if all of it has come and it is not stored yet."""
        if self.position == self._held.size and not self._held.stored:
            self._publish()

    def addresses(self, wanted: Sequence[Part], lifetime: timedelta) -> list[str]:
        """Where a client may store these parts by itself.

        Raises:
            NotDirect: nowhere.
            PartOutside: one that is not in the part of the file that has not come through the service.
            UploadTooLarge: there is much more already than was to come.
        """
        held, position = self._held, self.position
        for index, part in enumerate(wanted):
            if part.offset < position or part.end > held.size:
                raise PartOutside(f"What is still to come lies between {position} and {held.size}.", pointer=f"/parts/{index}")
        there = sum(part.size for part in self._partials.parts(held.id))
        if there > 2 * (held.size - position):  # parts of an earlier try, with other bounds, may lie between
            raise UploadTooLarge(f"{there} bytes lie in the store where {held.size - position} were to come.", hint=_BEGIN_NEW)
        found = [self._partials.address(held.id, part.offset, lifetime) for part in wanted]
        with self._services.database.write() as session:
            audit.note(session, self._actor, "upload.signed", held.id, parts=len(wanted))
        return found

    def complete(self) -> None:
        """Stores the whole, whose last bytes are parts that a client stored by itself; if it is stored, it is."""
        if not self._held.stored:
            self._publish()

    def remove(self, why: str) -> None:
        """Forgets the upload and its bytes."""
        with self._services.database.write() as session:
            resumable.remove(session, self._held, actor=self._actor, why=why)
        self._partials.discard(self._held.id)

    def _check_room(self, more: int) -> None:
        if self.position + more > self._held.size:
            raise UploadTooLarge(f"The upload was to have {self._held.size} bytes.", hint=_BEGIN_NEW)

    def _write(self, block: bytearray, *, keep: bool) -> None:
        self._beat()
        self._partials.write(self._held.id, self.position, block)
        self.position += len(block)
        if keep:
            self._keep(self.position)

    def _keep(self, received: int | None = None) -> None:
        with self._services.database.write() as session:
            resumable.keep(session, self._held, received)
        self._renewed = monotonic()

    def _beat(self) -> None:
        """Goes on holding: before a byte is written by somebody who was slow, he knows whether it is still his to write."""
        if monotonic() - self._renewed > _RENEW_SECONDS:
            self._keep()

    @contextmanager
    def _holding_on(self) -> Iterator[None]:
        """Goes on holding while the store works, which may take longer than a hold. Whether it held is seen at the end."""
        done = Event()

        def renew() -> None:
            with suppress(UploadLocked):
                while not done.wait(_RENEW_SECONDS):
                    self._keep()

        thread = Thread(target=renew, name="hold", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _publish(self) -> None:
        """The whole becomes a stored file; what is stored already is the same file."""
        services, held = self._services, self._held
        try:
            with self._holding_on():
                stored = self._partials.publish(held.id, Whole(held.size, self.position, held.sha256))
        except UploadCorrupt:
            self.remove("corrupt")
            raise
        with services.database.write() as session:
            artifacts.record(session, services.store, stored)
            resumable.finish(session, held, stored, actor=self._actor)
        self._partials.discard(held.id)


@contextmanager
def reception(services: Services, upload_id: str, actor: str, *, offset: int | None = None) -> Iterator[Reception]:
    """Holds the upload for the block. Raises `UploadLocked` where another request does, `OffsetDiffers` where it is elsewhere."""
    with services.database.write() as session:
        held = resumable.take(session, upload_id, offset=offset)
    try:
        yield Reception(services, held, actor)
    finally:
        with services.database.write() as session:
            resumable.release(session, held, kept=kept(services))


def kept(services: Services) -> timedelta:
    """How long an upload waits for its next request."""
    return timedelta(seconds=services.settings.upload_seconds)


def _blocks(body: Iterator[bytes]) -> Iterator[bytearray]:
    """The body in blocks that are worth an entry; what came before the connection broke is the last one."""
    block, broken = bytearray(), None
    try:
        for chunk in body:
            block += chunk
            if len(block) >= PART:
                yield block
                block = bytearray()
    except ClientDisconnect as error:
        broken = error
    if block:
        yield block
    if broken is not None:
        raise broken
