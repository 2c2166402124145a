"""Helpers for sleeping, threads and concurrency, used by the asynchronous and synchronous clients.

When `make sync` generates the synchronous client, it removes the prefix `async_` from the names of
the helpers.
"""

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


def run_in_thread(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Call the function directly, because the synchronous client needs no thread."""
    return function(*args, **kwargs)


async def async_run_in_thread(
    function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
) -> _T:
    """Call the function in a thread, so that it does not block the event loop."""
    return await to_thread.run_sync(lambda: function(*args, **kwargs))


def run_concurrently(function: Callable[[_T], None], items: Iterable[_T]) -> None:
    """Call the function concurrently, once for each item.

    Waits for all calls and then raises the first exception, if any.
    """
    arguments = list(items)
    with ThreadPoolExecutor(max_workers=len(arguments) or 1) as pool:
        for future in [pool.submit(function, argument) for argument in arguments]:
            future.result()


async def async_run_concurrently(
    function: Callable[[_T], Awaitable[None]], items: Iterable[_T]
) -> None:
    """Call the function concurrently, once for each item.

    Waits for all calls and then raises the first exception, if any.
    """
    errors: list[Exception] = []

    async def call(item: _T) -> None:
        try:
            await function(item)
        except Exception as error:  # noqa: BLE001 - raised below
            errors.append(error)

    async with anyio.create_task_group() as group:
        for item in items:
            group.start_soon(partial(call, item))
    if errors:
        raise errors[0]
