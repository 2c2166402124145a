"""A file from this disk to the service: goes on after an interruption, also in a later process.

Where the service has an S3 store that can be reached from here, straight to that; else in verified pieces by tus 1.0.
"""

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import httpx

from dlkd_client._sync.connection import Connection
from dlkd_client._sync.direct import send_direct
from dlkd_client.digests import sha256_of
from dlkd_client.errors import ProblemError, Unreachable, problem_of
from dlkd_client.ledger import Ledger
from dlkd_client.progress import Watcher
from dlkd_client.retries import passing, pause
from dlkd_client.waiting import aside, sleep

PIECE = 8 << 20
_TUS = {"Tus-Resumable": "1.0.0"}
_FAILURES = 6  # one after the other, without a byte between them
_AGAIN = frozenset({409, 423, 460})  # another offset, held by a request that broke off, bytes that fell over on the way
_HASHING_SECONDS = 600.0  # the last piece is answered when the service has hashed the whole


def send_file(line: Connection, path: Path, on_bytes: Watcher | None = None) -> str:
    """The id of the upload, complete and of the right sha256.

    Raises:
        ProblemError: the service does not want it, such as `quota_exceeded`.
        Unreachable: the line stays broken. The next try, also of another process, goes on from there.
    """
    digest = aside(sha256_of, path)
    known = Ledger(line.url, digest)
    place, offset = _begin(line, path, digest, known)
    if offset < path.stat().st_size and send_direct(line, place, path, offset, on_bytes):
        offset = path.stat().st_size
    failures = 0
    while offset < path.stat().st_size:
        if on_bytes is not None:
            on_bytes(offset, path.stat().st_size)
        before = offset
        try:
            offset = _send_piece(line, place, path, offset)
            failures = 0
        except (httpx.TransportError, _NotThisTime) as error:
            failures += 1
            if failures == _FAILURES:
                raise Unreachable(f"The upload broke off again and again ({error}); {before} bytes are there.") from error
            sleep(pause(failures))
            offset = _offset(line, place)
    if on_bytes is not None:
        on_bytes(offset, offset)
    known.forget()
    return place.rpartition("/")[2]


class _NotThisTime(Exception):
    """A refusal that another try may not meet."""


def _begin(line: Connection, path: Path, digest: str, known: Ledger) -> tuple[str, int]:
    """Where the upload is, and how many bytes are there: the one that an earlier try began, or a new one."""
    place = known.place()
    if place is not None:
        try:
            return place, _offset(line, place)
        except ProblemError:
            known.forget()  # it expired, or the service is another one at the same address
    told = f"filename {b64encode(path.name.encode()).decode()},sha256 {b64encode(digest.encode()).decode()}"
    headers = {**_TUS, "Upload-Length": str(path.stat().st_size), "Upload-Metadata": told}
    created = line.send("POST", "/v1/uploads", headers=headers)
    return known.remember(created.headers["Location"]), 0


def _offset(line: Connection, place: str) -> int:
    return int((line.send("HEAD", place, headers=_TUS)).headers["Upload-Offset"])


def _send_piece(line: Connection, place: str, path: Path, offset: int) -> int:
    """One PATCH; the new offset."""
    with path.open("rb") as file:
        file.seek(offset)
        piece = file.read(PIECE)
    headers = {
        **_TUS,
        "Content-Type": "application/offset+octet-stream",
        "Upload-Offset": str(offset),
        "Upload-Checksum": f"sha256 {b64encode(sha256(piece).digest()).decode()}",
    }
    patience = httpx.Timeout(line.timeout, read=_HASHING_SECONDS)
    answer = line.http.patch(place, content=piece, headers=headers, timeout=patience)
    if answer.is_success:
        return int(answer.headers["Upload-Offset"])
    problem = problem_of(answer)
    if passing(answer) or (answer.status_code in _AGAIN and problem.code != "upload_corrupt"):
        raise _NotThisTime(str(problem))
    raise problem
