"""A file from the service to this disk: goes on after an interruption, and is kept only if its sha256 is right."""

import os
from hashlib import sha256 as new_sha256
from pathlib import Path
from time import sleep

import httpx

from dlkd_client.errors import DownloadCorrupt, Unreachable, problem_of

_FAILURES = 5  # one after the other, without a byte between them
_PAUSE_SECONDS = 0.05
_CHUNK = 1 << 20


def fetch(http: httpx.Client, url: str, path: Path, *, sha256: str, size: int) -> Path:
    """Brings the file of that digest and size to `path`; what is there of an earlier try in `path`.part is used."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    failures = 0
    while True:
        before = _length(part)
        try:
            _go_on(http, url, part, sha256)
            break
        except httpx.TransportError as error:
            failures = 1 if _length(part) > before else failures + 1  # a bad line that moves is good enough
            if failures == _FAILURES:
                raise Unreachable(f"The download broke off again and again ({error}); what came is in {part}.") from error
            sleep(_PAUSE_SECONDS * 2**failures)
    found = _digest(part)
    if found != sha256:
        length = _length(part)
        part.unlink()
        raise DownloadCorrupt(f"{path.name}: {length} bytes with sha256 {found} came, {size} bytes with {sha256} were announced.")
    part.replace(path)
    return path


def _go_on(http: httpx.Client, url: str, part: Path, sha256: str) -> None:
    """One request for what is still missing of the file."""
    have = _length(part)
    headers = {"Range": f"bytes={have}-", "If-Range": f'"{sha256}"'} if have else {}
    headers["Accept-Encoding"] = "identity"
    with http.stream("GET", url, headers=headers) as answer:
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # everything is here already; the digest will tell
        if answer.is_error:
            answer.read()
            raise problem_of(answer)
        with part.open("ab" if answer.status_code == httpx.codes.PARTIAL_CONTENT else "wb") as file:
            for chunk in answer.iter_raw():
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _digest(path: Path) -> str:
    digest = new_sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
