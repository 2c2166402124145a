"""Where a change comes from: the API says it at its door, and every audit row written behind it takes it over."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """Of a request. Workers and commands have none."""

    role: str | None = None
    owner: str | None = None
    address: str | None = None
    request_id: str | None = None


_NOBODY = Origin()
_origin: ContextVar[Origin] = ContextVar("dlkd_origin", default=_NOBODY)


def now() -> Origin:
    """That of the request which is being answered."""
    return _origin.get()


@contextmanager
def told(origin: Origin) -> Iterator[None]:
    """For the block, in this task and the threads that it starts work in."""
    token = _origin.set(origin)
    try:
        yield
    finally:
        _origin.reset(token)
