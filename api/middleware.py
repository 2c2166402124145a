"""What happens to every request before a route sees it, without reading its body: name, host, key, size."""

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from http import HTTPStatus
from time import perf_counter
from urllib.parse import urlsplit

from anyio import to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from api.identity import identify
from api.issuer import Issuer
from api.problems import MEDIA_TYPE, Problem, answer, of_framework, of_known, problem
from api.rates import Left, Rates
from registry.access import Principal
from registry.db import Database
from registry.errors import Forbidden, RateExceeded, RegistryError, StoreError, Unauthenticated
from registry.ids import new_id
from registry.origin import Origin, told

GUARDED = "/v1"
_KEPT_HEADERS = frozenset({"allow", "content-range", "retry-after", "accept-ranges"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_log = logging.getLogger("api.access")


async def _refuse(document: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    await answer(document, scope["state"].get("request_id"))(scope, receive, send)


class Names:
    """Gives each request a name (the client's X-Request-Id or a new one) that goes into the answer and the log."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        name = given if _REQUEST_ID.fullmatch(given) else new_id("req")
        scope.setdefault("state", {})["request_id"] = name
        began = perf_counter()

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = name
                headers["X-Content-Type-Options"] = "nosniff"
                told = {"method": scope["method"], "path": scope["path"], "status": message["status"]}
                _log.info("request", extra={**told, "ms": round(1000 * (perf_counter() - began))})
            await send(message)

        with bound_contextvars(request_id=name):
            await self.app(scope, receive, named)


class Uniform:
    """The last word on errors: what the framework would answer in plain text becomes a problem document."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        replaced = False

        async def checked(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and _is_foreign(message):
                replaced = True
                headers = {name: value for name, value in Headers(raw=message["headers"]).items() if name in _KEPT_HEADERS}
                error = HTTPException(message["status"], HTTPStatus(message["status"]).phrase, headers)
                document = of_framework(error, scope["method"], scope["path"])
                await answer(document, scope["state"].get("request_id"), headers)(scope, receive, send)
            elif not replaced:
                await send(message)

        await self.app(scope, receive, checked if scope["type"] == "http" else send)


def _is_foreign(start: Message) -> bool:
    kind = Headers(raw=start["headers"]).get("content-type", "")
    return int(start["status"]) >= HTTPStatus.BAD_REQUEST and not kind.startswith(MEDIA_TYPE)


class Hosts:
    """Answers only to its own names: a page that a browser was lured to cannot speak to a service on loopback."""

    def __init__(self, app: ASGIApp, allowed: Sequence[str], *, exempt: Collection[str] = ()) -> None:
        """`exempt` paths ask for a secret that no browser holds; those who call them know addresses and no names."""
        self.app = app
        self.allowed = frozenset(name.lower() for name in allowed)
        self.exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in self.exempt and not self._known(Headers(scope=scope).get("host", "")):
            hint = "Call it by its address; an operator adds names in DLKD_ALLOWED_HOSTS."
            await _refuse(problem(400, "host_unknown", "The Host header names another server.", hint=hint), scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _known(self, header: str) -> bool:
        try:
            return "*" in self.allowed or (urlsplit(f"//{header}").hostname or "") in self.allowed
        except ValueError:
            return False


class Keys:
    """Asks for a key or the cookie of a session on every path under /v1, known or not, before a byte of the body is read.

    Counts the request, too: by who asks, or by the address where the key is refused.
    """

    def __init__(self, app: ASGIApp, database: Database, issuer: Issuer | None, rates: Rates) -> None:
        self.app = app
        self._database = database
        self._issuer = issuer
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not (scope["path"] + "/").startswith(GUARDED + "/"):
            await self.app(scope, receive, send)
            return
        address = (scope.get("client") or ("",))[0]
        found, left = await to_thread.run_sync(self._admit, scope["method"], Headers(scope=scope), address)
        headers = left.headers() if left else {}
        if not isinstance(found, Principal):
            await answer(of_known(found), scope["state"].get("request_id"), headers)(scope, receive, send)
            return
        scope["state"]["principal"] = found
        with told(Origin(found.role, found.owner, address, scope["state"].get("request_id"))):
            await self.app(scope, receive, _with(headers, send))

    def _admit(self, method: str, headers: Headers, address: str) -> tuple[Principal | RegistryError, Left | None]:
        """Who asks, or why not; and what is left of the limit."""
        found: Principal | RegistryError
        try:
            found = identify(self._database, method, headers, self._issuer)
            left = self._rates.of_caller(found.id)
        except (Unauthenticated, Forbidden, StoreError) as error:
            found, left = error, self._rates.of_stranger(address)
        if left is not None and not left.allowed:
            return RateExceeded(f"More than {left.limit} requests in a minute."), left
        return found, left


def _with(headers: Mapping[str, str], send: Send) -> Send:
    async def told_too(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(headers)
        await send(message)

    return told_too


class Tus:
    """Says on every answer about uploads, refusals too, which version of tus is spoken."""

    def __init__(self, app: ASGIApp, path: str, version: str) -> None:
        self.app = app
        self._root = f"{path}/"
        self._headers = {"Tus-Resumable": version}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        spoken = scope["type"] == "http" and f"{scope['path']}/".startswith(self._root)
        await self.app(scope, receive, _with(self._headers, send) if spoken else send)


class BodyLimit:
    """Refuses bodies above the limit of their path: by what they claim, and by what really comes."""

    def __init__(self, app: ASGIApp, limit: int, larger: Mapping[str, int]) -> None:
        """`larger` are the limits of paths and all that lies under them."""
        self.app = app
        self.limit = limit
        self.larger = larger

    def _limit_of(self, path: str) -> int:
        return next((limit for root, limit in self.larger.items() if f"{path}/".startswith(f"{root}/")), self.limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self._limit_of(scope["path"])
        claimed = Headers(scope=scope).get("content-length", "0")
        if claimed.isdecimal() and int(claimed) > limit:
            hint = "Send less, or ask the operator to raise the limit."
            await _refuse(
                problem(413, "body_too_large", f"The body is larger than {limit} bytes.", hint=hint), scope, receive, send
            )
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise HTTPException(413, f"The body is larger than {limit} bytes.")
            return message

        await self.app(scope, counted, send)
