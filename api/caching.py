"""Answers that a client may have already (RFC 9110, conditional requests)."""

from fastapi import Request


def has_current(request: Request, etag: str) -> bool:
    """Whether the client's If-None-Match names this version, so that 304 is the whole answer."""
    given = request.headers.get("if-none-match", "")
    names = {name.strip().removeprefix("W/") for name in given.split(",")}
    return "*" in names or etag in names
