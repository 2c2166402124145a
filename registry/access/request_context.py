"""The request context: the caller and id of the current request, for audit entries."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class RequestContext:
    """The caller and id of a request. All fields are None in workers and commands."""

    role: str | None = None
    owner: str | None = None
    address: str | None = None
    request_id: str | None = None


_NO_REQUEST = RequestContext()
_request_context: ContextVar[RequestContext] = ContextVar(
    "dlkd_request_context", default=_NO_REQUEST
)


def get_context() -> RequestContext:
    return _request_context.get()


@contextmanager
def use_context(context: RequestContext) -> Iterator[None]:
    """Set the request context within the `with` block.

    It applies to this task and to threads that inherit its context variables.
    """
    token = _request_context.set(context)
    try:
        yield
    finally:
        _request_context.reset(token)
