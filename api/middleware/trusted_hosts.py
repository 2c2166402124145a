"""Validation of the Host header."""

from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import build_problem, send_problem


class TrustedHostsMiddleware:
    """Rejects requests whose Host header is not one of the service's names.

    This prevents DNS rebinding, in which a web page gets the visitor's browser to send requests to
    a service on loopback.
    """

    def __init__(
        self, app: ASGIApp, allowed_hosts: Sequence[str], *, exempt_paths: Collection[str] = ()
    ) -> None:
        """Set the accepted host names, and paths for which the Host header is not checked.

        These paths are meant for callers that use an IP address instead of a host name. List only
        paths to which browsers send no credentials.
        """
        self.app = app
        self.allowed_hosts = frozenset(name.lower() for name in allowed_hosts)
        self.exempt_paths = exempt_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == "http"
            and scope["path"] not in self.exempt_paths
            and not self._is_allowed(Headers(scope=scope).get("host", ""))
        ):
            problem = build_problem(
                400,
                "host_unknown",
                "The Host header does not name this server.",
                hint="Use a host name that this server accepts. The operator can add names to "
                "DLKD_ALLOWED_HOSTS.",
            )
            await send_problem(problem, scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _is_allowed(self, host_header: str) -> bool:
        if "*" in self.allowed_hosts:
            return True
        try:
            return (urlsplit(f"//{host_header}").hostname or "") in self.allowed_hosts
        except ValueError:
            return False
