"""The parts of the tus protocol that concern every request to /v1/uploads."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.responses import add_headers

# HEAD is not in this set: the web server would then omit the body that the client of a POST
# request waits for.
_OVERRIDE_METHODS = frozenset({"PATCH", "DELETE"})


class TusProtocolMiddleware:
    """Adds the tus version to every response under /v1/uploads, including errors.

    For clients and proxies that cannot send PATCH or DELETE, it also replaces the method of a POST
    request with the one in the X-HTTP-Method-Override header. It must run before the
    authentication, which depends on the method.
    """

    def __init__(self, app: ASGIApp, path: str, version: str) -> None:
        self.app = app
        self._prefix = f"{path}/"
        self._headers = {"Tus-Resumable": version}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_upload = scope["type"] == "http" and f"{scope['path']}/".startswith(self._prefix)
        if not is_upload:
            await self.app(scope, receive, send)
            return
        override = Headers(scope=scope).get("X-HTTP-Method-Override", "").upper()
        if scope["method"] == "POST" and override in _OVERRIDE_METHODS:
            scope["method"] = override
        await self.app(scope, receive, add_headers(self._headers, send))
