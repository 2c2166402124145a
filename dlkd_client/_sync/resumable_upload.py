"""Uploads files. An interrupted upload can be resumed, even by another process.

If the service has an S3 store that the client can reach, the bytes are sent directly to it.
Otherwise they are sent through the service in verified chunks, with the tus 1.0 protocol.
"""

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import httpx

from dlkd_client._sync.base_client import BaseClient
from dlkd_client._sync.direct_upload import upload_direct
from dlkd_client.concurrency import run_in_thread, sleep
from dlkd_client.errors import ProblemError, ServiceUnreachable, problem_from_response
from dlkd_client.file_cache import UploadState
from dlkd_client.progress import ByteCallback
from dlkd_client.retries import is_retryable, retry_delay
from dlkd_core.common import compute_sha256

CHUNK_BYTES = 8 << 20
_TUS_HEADERS = {"Tus-Resumable": "1.0.0"}
_MAX_FAILURES = 6  # consecutive failures without progress
# The offset is wrong, an interrupted request still holds the lock, or a checksum does not match.
_RETRYABLE_STATUSES = frozenset({409, 423, 460})
_HASH_TIMEOUT_SECONDS = 600.0  # the last chunk's response waits until the whole file is hashed


def upload_file(client: BaseClient, path: Path, on_bytes: ByteCallback | None = None) -> str:
    """Upload a file and return the id of the upload. The service verifies the file's sha256.

    Raises:
        ProblemError: The service refused the upload, for example with `quota_exceeded`.
        ServiceUnreachable: The connection kept failing, despite retries. The next call resumes the
            upload, even in another process.
    """
    digest = run_in_thread(compute_sha256, path)
    state = UploadState(client.url, digest)
    upload_path, offset = _start_or_resume(client, path, digest, state)
    if offset < path.stat().st_size and upload_direct(client, upload_path, path, offset, on_bytes):
        offset = path.stat().st_size
    failures = 0
    while offset < path.stat().st_size:
        if on_bytes is not None:
            on_bytes(offset, path.stat().st_size)
        before = offset
        try:
            offset = _send_chunk(client, upload_path, path, offset)
            failures = 0
        except (httpx.TransportError, _TemporaryRefusal) as error:
            failures += 1
            if failures == _MAX_FAILURES:
                raise ServiceUnreachable(
                    f"The upload failed repeatedly ({error}). {before} bytes were sent. "
                    "Start the upload again to resume it."
                ) from error
            sleep(retry_delay(failures))
            offset = _get_offset(client, upload_path)
    if on_bytes is not None:
        on_bytes(offset, offset)
    state.delete()
    return upload_path.rpartition("/")[2]


class _TemporaryRefusal(Exception):
    """The service refused a chunk for a reason that may be temporary."""


def _start_or_resume(
    client: BaseClient, path: Path, digest: str, state: UploadState
) -> tuple[str, int]:
    """Resume the unfinished upload or create a new one. Return its URL path and offset."""
    upload_path = state.load()
    if upload_path is not None:
        try:
            return upload_path, _get_offset(client, upload_path)
        except ProblemError:
            state.delete()  # the upload has expired, or another service now has this address
    filename, sha256_text = (b64encode(text.encode()).decode() for text in (path.name, digest))
    headers = {
        **_TUS_HEADERS,
        "Upload-Length": str(path.stat().st_size),
        "Upload-Metadata": f"filename {filename},sha256 {sha256_text}",
    }
    created = client.send("POST", "/v1/uploads", headers=headers)
    return state.save(created.headers["Location"]), 0


def _get_offset(client: BaseClient, upload_path: str) -> int:
    response = client.send("HEAD", upload_path, headers=_TUS_HEADERS)
    return int(response.headers["Upload-Offset"])


def _send_chunk(client: BaseClient, upload_path: str, path: Path, offset: int) -> int:
    """Send one chunk and return the new offset."""
    with path.open("rb") as file:
        file.seek(offset)
        chunk = file.read(CHUNK_BYTES)
    headers = {
        **_TUS_HEADERS,
        "Content-Type": "application/offset+octet-stream",
        "Upload-Offset": str(offset),
        "Upload-Checksum": f"sha256 {b64encode(sha256(chunk).digest()).decode()}",
    }
    timeout = httpx.Timeout(client.timeout, read=_HASH_TIMEOUT_SECONDS)
    response = client.http.patch(upload_path, content=chunk, headers=headers, timeout=timeout)
    if response.is_success:
        return int(response.headers["Upload-Offset"])
    problem = problem_from_response(response)
    if is_retryable(response) or (
        response.status_code in _RETRYABLE_STATUSES and problem.code != "upload_corrupt"
    ):
        raise _TemporaryRefusal(str(problem))
    raise problem
