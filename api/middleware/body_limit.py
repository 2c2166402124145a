"""Limit on the request body size."""

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem_from_http_exception, send_problem


class BodyLimitMiddleware:
    """Rejects bodies larger than the limit for their path.

    Both Content-Length and the number of received bytes are checked.
    """

    def __init__(self, app: ASGIApp, limit: int, limits_by_path: Mapping[str, int]) -> None:
        """Set the default limit in bytes, and other limits for some paths and their subpaths."""
        self.app = app
        self.limit = limit
        self.limits_by_path = limits_by_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self._get_limit(scope["path"])
        message_too_large = f"The body is larger than {limit} bytes."
        content_length = Headers(scope=scope).get("content-length", "0")
        if content_length.isdecimal() and int(content_length) > limit:
            error = HTTPException(413, message_too_large)
            problem = problem_from_http_exception(error, scope["method"], scope["path"])
            await send_problem(problem, scope, receive, send)
            return
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, message_too_large)
            return message

        await self.app(scope, receive_within_limit, send)

    def _get_limit(self, path: str) -> int:
        limits = (
            limit
            for prefix, limit in self.limits_by_path.items()
            if f"{path}/".startswith(f"{prefix}/")
        )
        return next(limits, self.limit)
