"""How the two clients wait, and how they do several things at once. `make sync` takes the names without `async_`."""

import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

import anyio
from anyio import to_thread

_P = ParamSpec("_P")
_T = TypeVar("_T")
sleep = time.sleep
async_sleep = anyio.sleep


def aside(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Calls it."""
    return function(*args, **kwargs)


async def async_aside(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Calls it in a thread, so that the event loop goes on."""
    return await to_thread.run_sync(lambda: function(*args, **kwargs))


def together(function: Callable[[_T], None], items: Iterable[_T]) -> None:
    """Calls it with each of a few items, all at once; the exception of the first that failed, once all have ended."""
    with ThreadPoolExecutor(max_workers=len(todo := list(items)) or 1) as pool:
        for done in [pool.submit(function, item) for item in todo]:
            done.result()


async def async_together(function: Callable[[_T], Awaitable[None]], items: Iterable[_T]) -> None:
    """As `together`."""
    failed: list[Exception] = []

    async def one(item: _T) -> None:
        try:
            await function(item)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised below
            failed.append(error)

    async with anyio.create_task_group() as group:
        for item in items:
            group.start_soon(partial(one, item))
    if failed:
        raise failed[0]
