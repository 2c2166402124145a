"""Protocol headers of resumable uploads."""

from starlette.types import ASGIApp, Receive, Scope, Send

from api.responses import add_headers


class TusHeadersMiddleware:
    """Adds the tus version to every response under /v1/uploads, including errors."""

    def __init__(self, app: ASGIApp, path: str, version: str) -> None:
        self.app = app
        self._prefix = f"{path}/"
        self._headers = {"Tus-Resumable": version}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_upload = scope["type"] == "http" and f"{scope['path']}/".startswith(self._prefix)
        await self.app(scope, receive, add_headers(self._headers, send) if is_upload else send)
