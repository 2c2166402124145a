"""A file from the service to this disk: goes on after an interruption, and is kept only if its sha256 is right."""

import os
from pathlib import Path

import httpx

from dlkd_client.answers import ModelFile
from dlkd_client.digests import sha256_of
from dlkd_client.errors import DownloadCorrupt, Unreachable, problem_of
from dlkd_client.progress import Watcher
from dlkd_client.retries import passing, pause
from dlkd_client.waiting import aside, sleep

_FAILURES = 5  # one after the other, without a byte between them


def fetch(http: httpx.Client, url: str, path: Path, *, file: ModelFile, on_bytes: Watcher | None = None) -> Path:
    """Brings the file of that digest and size to `path`; what is there of an earlier try in `path`.part is used."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    failures = 0
    while True:
        before = _length(part)
        try:
            _go_on(http, url, part, file, on_bytes)
            break
        except httpx.TransportError as error:
            failures = 1 if _length(part) > before else failures + 1  # a bad line that moves is good enough
            if failures == _FAILURES:
                raise Unreachable(f"The download broke off again and again ({error}); what came is in {part}.") from error
            sleep(pause(failures))
    found = aside(sha256_of, part)
    if found != file.sha256:
        length = _length(part)
        part.unlink()
        came = f"{length} bytes with sha256 {found} came, {file.size} bytes with {file.sha256} were announced"
        raise DownloadCorrupt(f"{path.name}: {came}.")
    part.replace(path)
    return path


def _go_on(http: httpx.Client, url: str, part: Path, file: ModelFile, on_bytes: Watcher | None) -> None:
    """One request for what is still missing of the file."""
    have = _length(part)
    headers = {"Range": f"bytes={have}-", "If-Range": f'"{file.sha256}"'} if have else {}
    headers["Accept-Encoding"] = "identity"
    with http.stream("GET", url, headers=headers) as answer:
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # everything is here already; the digest will tell
        if passing(answer):
            raise httpx.RemoteProtocolError(f"the service answered {answer.status_code}")
        if answer.is_error:
            answer.read()
            raise problem_of(answer)
        goes_on = answer.status_code == httpx.codes.PARTIAL_CONTENT
        _write(answer, part, have if goes_on else 0, file.size, on_bytes)


def _write(answer: httpx.Response, part: Path, have: int, size: int, on_bytes: Watcher | None) -> None:
    with part.open("ab" if have else "wb") as opened:
        for chunk in answer.iter_raw():
            opened.write(chunk)
            have += len(chunk)
            if on_bytes is not None:
                on_bytes(have, size)
        opened.flush()
        os.fsync(opened.fileno())


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
