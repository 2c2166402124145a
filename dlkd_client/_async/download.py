"""A file from the service to this disk: goes on after an interruption, and is kept only if its sha256 is right."""

import os
from pathlib import Path

import httpx

from dlkd_client.answers import ModelFile
from dlkd_client.digests import sha256_of
from dlkd_client.errors import DownloadCorrupt, Unreachable, problem_of
from dlkd_client.progress import Watcher
from dlkd_client.retries import passing, pause
from dlkd_client.waiting import async_aside, async_sleep

_FAILURES = 5  # one after the other, without a byte between them


async def fetch(http: httpx.AsyncClient, url: str, path: Path, *, file: ModelFile, on_bytes: Watcher | None = None) -> Path:
    """Brings the file of that digest and size to `path`; what is there of an earlier try in `path`.part is used."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    failures = 0
    while True:
        before = _length(part)
        try:
            await _go_on(http, url, part, file, on_bytes)
            break
        except httpx.TransportError as error:
            failures = 1 if _length(part) > before else failures + 1  # a bad line that moves is good enough
            if failures == _FAILURES:
                raise Unreachable(f"The download broke off again and again ({error}); what came is in {part}.") from error
            await async_sleep(pause(failures))
    found = await async_aside(sha256_of, part)
    if found != file.sha256:
        length = _length(part)
        part.unlink()
        came = f"{length} bytes with sha256 {found} came, {file.size} bytes with {file.sha256} were announced"
        raise DownloadCorrupt(f"{path.name}: {came}.")
    part.replace(path)
    return path


async def _go_on(http: httpx.AsyncClient, url: str, part: Path, file: ModelFile, on_bytes: Watcher | None) -> None:
    """One request for what is still missing of the file."""
    have = _length(part)
    headers = {"Range": f"bytes={have}-", "If-Range": f'"{file.sha256}"'} if have else {}
    headers["Accept-Encoding"] = "identity"
    async with http.stream("GET", url, headers=headers) as answer:
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # everything is here already; the digest will tell
        if passing(answer):
            raise httpx.RemoteProtocolError(f"the service answered {answer.status_code}")
        if answer.is_error:
            await answer.aread()
            raise problem_of(answer)
        goes_on = answer.status_code == httpx.codes.PARTIAL_CONTENT
        await _write(answer, part, have if goes_on else 0, file.size, on_bytes)


async def _write(answer: httpx.Response, part: Path, have: int, size: int, on_bytes: Watcher | None) -> None:
    with part.open("ab" if have else "wb") as opened:
        async for chunk in answer.aiter_raw():
            opened.write(chunk)
            have += len(chunk)
            if on_bytes is not None:
                on_bytes(have, size)
        opened.flush()
        os.fsync(opened.fileno())


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
