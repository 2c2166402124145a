"""Uniform error responses."""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import MEDIA_TYPE, problem_from_http_exception, problem_response

_PRESERVED_HEADERS = frozenset({"allow", "content-range", "retry-after", "accept-ranges"})


class ProblemDetailsMiddleware:
    """Replaces the framework's plain-text errors with problem documents."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        replaced = False

        async def send_problem_for_error(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and _is_plain_error(message):
                replaced = True
                headers = {
                    name: value
                    for name, value in Headers(raw=message["headers"]).items()
                    if name in _PRESERVED_HEADERS
                }
                error = HTTPException(message["status"])
                problem = problem_from_http_exception(error, scope["method"], scope["path"])
                response = problem_response(problem, scope["state"].get("request_id"), headers)
                await response(scope, receive, send)
            elif not replaced:
                await send(message)

        await self.app(scope, receive, send_problem_for_error if scope["type"] == "http" else send)


def _is_plain_error(message: Message) -> bool:
    content_type = Headers(raw=message["headers"]).get("content-type", "")
    is_error = int(message["status"]) >= HTTPStatus.BAD_REQUEST
    return is_error and not content_type.startswith(MEDIA_TYPE)
