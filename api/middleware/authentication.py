"""Authentication and rate limiting of API requests."""

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.auth.credentials import authenticate_request
from api.auth.oidc import Issuer
from api.middleware.rate_limiter import RateLimiter, RateLimitStatus
from api.problems import problem_from_error, problem_response
from api.responses import add_headers
from registry.access.permissions import Principal
from registry.access.request_context import RequestContext, use_context
from registry.db.database import Database
from registry.errors import Forbidden, RateLimitExceeded, RegistryError, StoreError, Unauthenticated

AUTHENTICATED_PREFIX = "/v1"


class AuthenticationMiddleware:
    """Requires a credential for every path under /v1, even if the path does not exist.

    The credential is checked before the body is read. The request counts toward the caller's rate
    limit or, if the credential is rejected, toward the limit for the client's address.
    """

    def __init__(
        self, app: ASGIApp, database: Database, issuer: Issuer | None, rate_limiter: RateLimiter
    ) -> None:
        self.app = app
        self._database = database
        self._issuer = issuer
        self._rate_limiter = rate_limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not f"{scope['path']}/".startswith(
            f"{AUTHENTICATED_PREFIX}/"
        ):
            await self.app(scope, receive, send)
            return
        address = (scope.get("client") or ("",))[0]
        request_id = scope["state"].get("request_id")
        outcome, rate_limit = await to_thread.run_sync(
            self._authenticate, scope["method"], Headers(scope=scope), address
        )
        headers = rate_limit.headers() if rate_limit else {}
        if not isinstance(outcome, Principal):
            response = problem_response(problem_from_error(outcome), request_id, headers)
            await response(scope, receive, send)
            return
        scope["state"]["principal"] = outcome
        with use_context(RequestContext(outcome.role, outcome.owner, address, request_id)):
            await self.app(scope, receive, add_headers(headers, send))

    def _authenticate(
        self, method: str, headers: Headers, address: str
    ) -> tuple[Principal | RegistryError, RateLimitStatus | None]:
        """Return the caller (or the error to respond with) and the rate limit status."""
        outcome: Principal | RegistryError
        try:
            outcome = authenticate_request(self._database, method, headers, self._issuer)
            rate_limit = self._rate_limiter.hit_caller(outcome.id)
        except (Unauthenticated, Forbidden, StoreError) as error:
            outcome, rate_limit = error, self._rate_limiter.hit_address(address)
        if rate_limit is not None and not rate_limit.allowed:
            message = f"Rate limit of {rate_limit.limit} requests per minute exceeded."
            return RateLimitExceeded(message), rate_limit
        return outcome, rate_limit
