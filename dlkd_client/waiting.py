"""How the two clients wait, and how they do what takes the processor for long. `make sync` takes the names without `async_`."""

import time
from collections.abc import Callable
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
