"""Who asks, told by a key of the service, a token of the issuer that it trusts, or the cookie of a browser that was signed in."""

import hmac
from datetime import UTC, datetime

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from api.issuer import Issuer
from registry import keys, sign_ins
from registry.access import Principal
from registry.db import Database
from registry.errors import CsrfInvalid, Unauthenticated

COOKIE = "dlkd_session"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def identify(database: Database, method: str, headers: Headers, issuer: Issuer | None) -> Principal:
    """Who asks. The header goes before the cookie; with the cookie alone, what changes something needs the CSRF token, too."""
    token = session_token(headers)
    if token is None or "authorization" in headers:
        return verify(database, headers.get("authorization", ""), issuer)
    return _signed_in(database, token, headers.get("x-csrf-token"), safe=method in _SAFE)


def session_token(headers: Headers) -> str | None:
    """What the cookie of a signed-in browser holds."""
    return cookie_parser(headers.get("cookie", "")).get(COOKIE)


def _signed_in(database: Database, token: str, csrf: str | None, *, safe: bool) -> Principal:
    with database.read() as session:
        principal = sign_ins.authenticate(session, token)
    if not safe and not hmac.compare_digest(sign_ins.csrf_token(token).encode(), (csrf or "").encode()):
        raise CsrfInvalid("The X-CSRF-Token is not that of this session.")
    return _noted(database, principal)


def bearer_of(header: str) -> str:
    """The token of `Authorization: Bearer <token>`; `Unauthenticated` where there is none."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("This path needs a key.")
    return token.strip()


def verify(database: Database, header: str, issuer: Issuer | None = None) -> Principal:
    """Whose key or token the header carries; a key's use is noted, at most once a minute."""
    token = bearer_of(header)
    if issuer is not None and not token.startswith(keys.PREFIX):
        return issuer.principal(token)
    with database.read() as session:
        principal = keys.authenticate(session, token)
    return _noted(database, principal)


def _noted(database: Database, principal: Principal) -> Principal:
    if principal.id.startswith("key_") and keys.due(principal, datetime.now(UTC)):
        with database.write() as session:
            keys.touch(session, principal)
    return principal
