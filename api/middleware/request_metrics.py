"""Prometheus metrics of requests.

They are labeled with the route template, because labels with the actual path would create a time
series for every path that is requested.
"""

from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import HTTP_METHODS

UNMATCHED_ROUTE = "(none)"
_DURATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)


class RequestMetrics:
    """Metrics of requests. They outlive the middleware, which Starlette may rebuild."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._count = Counter(
            "dlkd_http_requests",
            "Number of HTTP requests.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._duration = Histogram(
            "dlkd_http_request_duration_seconds",
            "Time from receiving a request to sending the response headers.",
            ["method", "route"],
            buckets=_DURATION_BUCKETS,
            registry=registry,
        )

    def observe(self, scope: Scope, status: int, seconds: float) -> None:
        """Record the status and duration of a request."""
        method = scope["method"] if scope["method"] in HTTP_METHODS else "OTHER"
        route = getattr(scope.get("route"), "path", UNMATCHED_ROUTE)
        self._count.labels(method, route, str(status)).inc()
        self._duration.labels(method, route).observe(seconds)


class RequestMetricsMiddleware:
    """Records every response.

    It must be the outermost middleware, so that it sees each response as the client receives it.
    """

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, responded = perf_counter(), False

        async def send_and_observe(message: Message) -> None:
            nonlocal responded
            if message["type"] == "http.response.start":
                responded = True
                self._metrics.observe(scope, message["status"], perf_counter() - started)
            await send(message)

        try:
            await self.app(scope, receive, send_and_observe)
        except Exception:
            if not responded:  # Starlette's ServerErrorMiddleware responds with 500
                self._metrics.observe(scope, 500, perf_counter() - started)
            raise
