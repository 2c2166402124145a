"""The bytes of an upload straight to the service's S3 store, at signed addresses, several parts at once."""

from collections.abc import Iterator, Sequence
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from dlkd_client._async.connection import AsyncConnection
from dlkd_client.errors import ProblemError
from dlkd_client.progress import Watcher
from dlkd_client.retries import passing, pause
from dlkd_client.waiting import async_sleep, async_together

PART = 16 << 20
_AT_ONCE = 4  # so many parts are in memory
_TRIES = 3
_CONNECT_SECONDS = 5.0  # an address that leads nowhere from here must not hold up the other way
_WAITS = 60  # for another request that works on the same upload, such as one whose answer was lost
_NOT_HERE = frozenset({"upload_not_direct", "no_such_path"})  # files in a folder; an older service
_COMPLETING_SECONDS = 3600.0  # the service reads and hashes the whole

_Part = dict[str, int]


async def send_direct(line: AsyncConnection, place: str, path: Path, start: int, on_bytes: Watcher | None) -> bool:
    """Sends what follows `start` and completes the upload; False: these bytes have to go through the service.

    What an earlier try has brought to the store is not sent again.
    """
    try:
        there = {part["offset"]: part["size"] for part in (await line.send("GET", f"{place}/parts")).json()["parts"]}
        size = path.stat().st_size
        parts = list(_parts(start, size))
        missing = [part for part in parts if there.get(part["offset"]) != part["size"]]
        patience = httpx.Timeout(line.timeout, connect=_CONNECT_SECONDS)
        async with httpx.AsyncClient(timeout=patience, transport=line.store) as store:  # without the key of the service
            for index in range(0, len(missing), _AT_ONCE):
                if on_bytes is not None:
                    on_bytes(size - sum(part["size"] for part in missing[index:]), size)
                await _store(line, place, path, missing[index : index + _AT_ONCE], store)
    except ProblemError as error:
        if error.code in _NOT_HERE:
            return False
        raise
    except _StoreAway:
        return False
    await _complete(line, place)
    return True


class _StoreAway(Exception):
    """The store's address cannot be reached from here, or does not take what it should."""


def _parts(start: int, size: int) -> Iterator[_Part]:
    return ({"offset": offset, "size": min(PART, size - offset)} for offset in range(start, size, PART))


async def _store(line: AsyncConnection, place: str, path: Path, parts: Sequence[_Part], store: httpx.AsyncClient) -> None:
    """These parts, all at once."""
    signed = await _patiently(line, f"{place}/urls", json={"parts": parts})
    await async_together(partial(_put, store, path), signed.json()["parts"])


async def _put(store: httpx.AsyncClient, path: Path, part: dict[str, Any]) -> None:
    """One part, at its address."""
    with path.open("rb") as file:
        file.seek(part["offset"])
        content = file.read(part["size"])
    for tries in range(1, _TRIES + 1):
        try:
            answer = await store.put(part["url"], content=content)
        except httpx.TransportError as error:
            why: object = error
        else:
            if answer.is_success:
                return
            why = f"it answers {answer.status_code}"
            if not passing(answer) and answer.status_code != HTTPStatus.INTERNAL_SERVER_ERROR:
                break
        await async_sleep(pause(tries))
    raise _StoreAway(f"{httpx.URL(part['url']).host}: {why}")


async def _complete(line: AsyncConnection, place: str) -> None:
    await _patiently(line, f"{place}/complete", timeout=httpx.Timeout(line.timeout, read=_COMPLETING_SECONDS))


async def _patiently(line: AsyncConnection, path: str, **request: Any) -> httpx.Response:
    """The answer, once no other request holds the upload."""
    tries = 1
    while True:
        try:
            return await line.send("POST", path, **request)
        except ProblemError as error:
            if error.code != "upload_locked" or tries == _WAITS:
                raise
        await async_sleep(pause(tries))
        tries += 1
