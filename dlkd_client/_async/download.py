"""Downloads files and checks their sha256. An interrupted download can be resumed."""

import os
from pathlib import Path

import httpx

from dlkd_client._async.base_client import raise_for_problem
from dlkd_client.concurrency import async_run_in_thread, async_sleep
from dlkd_client.errors import DownloadCorrupt, ServiceUnreachable
from dlkd_client.progress import ByteCallback
from dlkd_client.responses import ModelFile
from dlkd_client.retries import is_retryable, retry_delay
from dlkd_core.common import compute_sha256

_MAX_FAILURES = 5  # consecutive failures without progress


async def download_file(
    http: httpx.AsyncClient,
    url: str,
    path: Path,
    *,
    file: ModelFile,
    on_bytes: ByteCallback | None = None,
) -> Path:
    """Download a file to `path`. If an earlier call left a `path`.part, continue from it.

    Raises:
        DownloadCorrupt: The bytes do not match the sha256 that the service announced.
        ServiceUnreachable: The connection kept failing, despite retries.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    failures = 0
    while True:
        before = _file_size(part)
        try:
            await _continue_download(http, url, part, file, on_bytes)
            break
        except httpx.TransportError as error:
            # On a bad connection, keep trying as long as the download makes progress.
            failures = 1 if _file_size(part) > before else failures + 1
            if failures == _MAX_FAILURES:
                raise ServiceUnreachable(
                    f"The download failed repeatedly ({error}). The partial file is {part}."
                ) from error
            await async_sleep(retry_delay(failures))
    digest = await async_run_in_thread(compute_sha256, part)
    if digest != file.sha256:
        length = _file_size(part)
        part.unlink()
        raise DownloadCorrupt(
            f"{path.name} is corrupt: received {length} bytes with sha256 {digest}, "
            f"expected {file.size} bytes with sha256 {file.sha256}. Download it again."
        )
    part.replace(path)
    return path


async def _continue_download(
    http: httpx.AsyncClient,
    url: str,
    partial_file: Path,
    file: ModelFile,
    on_bytes: ByteCallback | None,
) -> None:
    """Request the missing part of the file."""
    received = _file_size(partial_file)
    headers = {"Range": f"bytes={received}-", "If-Range": f'"{file.sha256}"'} if received else {}
    headers["Accept-Encoding"] = "identity"
    async with http.stream("GET", url, headers=headers) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # the partial file is complete; its digest is checked next
        if is_retryable(response):
            raise httpx.RemoteProtocolError(
                f"the service responded with status {response.status_code}"
            )
        await raise_for_problem(response)
        is_partial = response.status_code == httpx.codes.PARTIAL_CONTENT
        await _write_body(
            response, partial_file, received if is_partial else 0, file.size, on_bytes
        )


async def _write_body(
    response: httpx.Response,
    partial_file: Path,
    offset: int,
    size: int,
    on_bytes: ByteCallback | None,
) -> None:
    with partial_file.open("ab" if offset else "wb") as file:
        async for chunk in response.aiter_raw():
            file.write(chunk)
            offset += len(chunk)
            if on_bytes is not None:
                on_bytes(offset, size)
        file.flush()
        os.fsync(file.fileno())


def _file_size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
