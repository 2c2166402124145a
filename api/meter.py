"""Requests counted and timed, by the route's template: ids in paths would be a series each."""

from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UNKNOWN = "(none)"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)


class Requests:
    """The numbers. They outlive the middleware, which may be built again."""

    def __init__(self, registry: CollectorRegistry) -> None:
        words = "From a request to the head of its answer"
        self._answered = Counter("dlkd_http_requests", "Requests answered", ["method", "route", "status"], registry=registry)
        self._seconds = Histogram("dlkd_http_request_seconds", words, ["method", "route"], buckets=_SECONDS, registry=registry)

    def note(self, scope: Scope, status: int, seconds: float) -> None:
        """One more."""
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        route = getattr(scope.get("route"), "path", UNKNOWN)
        self._answered.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)


class Meter:
    """Outermost of the application's own layers: it sees what the client gets."""

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self.app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, answered = perf_counter(), False

        async def noted(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                self._requests.note(scope, message["status"], perf_counter() - began)
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception:
            if not answered:  # what lies around us answers it with 500
                self._requests.note(scope, 500, perf_counter() - began)
            raise
