"""Which methods a path takes. The framework names those of the first route alone that has the path (RFC 9110, 10.2.1: all)."""

from fastapi import Request
from starlette.routing import Match

_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


def methods(request: Request) -> str:
    """The value of `Allow` for the request's path."""
    routes = request.app.router.routes
    scope = {**request.scope, "path_params": {}}
    taken = (name for name in _METHODS if any(route.matches({**scope, "method": name})[0] is Match.FULL for route in routes))
    return ", ".join(taken)
