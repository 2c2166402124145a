"""Uploads parts of a file concurrently to signed URLs in the service's S3 store."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from dlkd_client._sync.base_client import BaseClient
from dlkd_client.concurrency import run_concurrently, sleep
from dlkd_client.errors import ProblemError
from dlkd_client.progress import ByteCallback
from dlkd_client.retries import is_retryable, retry_delay

PART_BYTES = 16 << 20
_CONCURRENT_PARTS = 4  # also the number of parts in memory
_MAX_TRIES = 3
_CONNECT_SECONDS = 5.0  # short, because tus is used if the store is unreachable
# Another request may still hold a lease on the upload, for example if its response was lost.
_MAX_LOCK_RETRIES = 60
# The service stores files in a local folder, or its version does not support direct uploads.
_NOT_DIRECT_CODES = frozenset({"upload_not_direct", "no_such_path"})
_COMPLETE_TIMEOUT_SECONDS = 3600.0  # the service reads and hashes the whole file


def upload_direct(
    client: BaseClient, upload_path: str, path: Path, start: int, on_bytes: ByteCallback | None
) -> bool:
    """Upload the bytes that begin at offset `start` to the store, and complete the upload.

    Parts that an earlier call uploaded are not sent again. Returns False if the store cannot be
    used. The bytes must then be sent through the service.
    """
    try:
        document = client.send_json("GET", f"{upload_path}/parts")
        stored = {part["offset"]: part["size"] for part in document["parts"]}
        size = path.stat().st_size
        parts = [
            {"offset": offset, "size": min(PART_BYTES, size - offset)}
            for offset in range(start, size, PART_BYTES)
        ]
        missing = [part for part in parts if stored.get(part["offset"]) != part["size"]]
        timeout = httpx.Timeout(client.timeout, connect=_CONNECT_SECONDS)
        # Use a separate client, so that the store never sees the service's API key.
        with httpx.Client(timeout=timeout, transport=client.store_transport) as store:
            for index in range(0, len(missing), _CONCURRENT_PARTS):
                if on_bytes is not None:
                    on_bytes(size - sum(part["size"] for part in missing[index:]), size)
                _upload_parts(
                    client, upload_path, path, missing[index : index + _CONCURRENT_PARTS], store
                )
    except ProblemError as error:
        if error.code in _NOT_DIRECT_CODES:
            return False
        raise
    except _StoreUnreachable:
        return False
    _post_when_unlocked(
        client,
        f"{upload_path}/complete",
        timeout=httpx.Timeout(client.timeout, read=_COMPLETE_TIMEOUT_SECONDS),
    )
    return True


class _StoreUnreachable(Exception):
    """The store cannot be reached or refuses a part."""


def _upload_parts(
    client: BaseClient,
    upload_path: str,
    path: Path,
    parts: Sequence[dict[str, int]],
    store_client: httpx.Client,
) -> None:
    signed = _post_when_unlocked(client, f"{upload_path}/urls", json={"parts": parts})
    run_concurrently(partial(_upload_part, store_client, path), signed.json()["parts"])


def _upload_part(store_client: httpx.Client, path: Path, part: dict[str, Any]) -> None:
    with path.open("rb") as file:
        file.seek(part["offset"])
        content = file.read(part["size"])
    for tries in range(1, _MAX_TRIES + 1):
        try:
            response = store_client.put(part["url"], content=content)
        except httpx.TransportError as error:
            reason: object = error
        else:
            if response.is_success:
                return
            reason = f"status {response.status_code}"
            if not (
                is_retryable(response) or response.status_code == httpx.codes.INTERNAL_SERVER_ERROR
            ):
                break
        sleep(retry_delay(tries))
    raise _StoreUnreachable(f"{httpx.URL(part['url']).host}: {reason}")


def _post_when_unlocked(client: BaseClient, path: str, **request: Any) -> httpx.Response:
    """Send a POST request, and retry it while another request holds a lease on the upload."""
    tries = 1
    while True:
        try:
            return client.send("POST", path, **request)
        except ProblemError as error:
            if error.code != "upload_locked" or tries == _MAX_LOCK_RETRIES:
                raise
        sleep(retry_delay(tries))
        tries += 1
