"""Authentication of requests by API key, identity provider token or session cookie."""

import hmac
from datetime import UTC, datetime

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from api.auth.oidc import Issuer
from registry.access import api_keys, browser_sessions
from registry.access.permissions import Principal
from registry.db.database import Database
from registry.errors import CsrfInvalid, Unauthenticated

SESSION_COOKIE = "dlkd_session"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def authenticate_request(
    database: Database, method: str, headers: Headers, issuer: Issuer | None
) -> Principal:
    """Return the caller of a request.

    The Authorization header takes precedence over the session cookie. A request that relies on the
    cookie alone also needs the CSRF token, unless its method is safe.

    Raises:
        Unauthenticated: There is no valid credential.
        CsrfInvalid: The X-CSRF-Token header does not match the session.
    """
    session_token = get_session_token(headers)
    if session_token is None or "authorization" in headers:
        return authenticate_bearer(database, headers.get("authorization", ""), issuer)
    return _authenticate_session(
        database, session_token, headers.get("x-csrf-token"), safe=method in SAFE_METHODS
    )


def get_session_token(headers: Headers) -> str | None:
    """Return the token in the session cookie, or None if there is no such cookie."""
    return cookie_parser(headers.get("cookie", "")).get(SESSION_COOKIE)


def authenticate_bearer(database: Database, header: str, issuer: Issuer | None = None) -> Principal:
    """Return the principal that the key or token in an Authorization header identifies.

    The time at which a key was last used is updated at most once a minute.

    Raises:
        Unauthenticated: The header, key or token is missing or invalid.
    """
    token = parse_bearer_token(header)
    if issuer is not None and not token.startswith(api_keys.KEY_PREFIX):
        return issuer.verify_access_token(token)
    with database.read() as session:
        principal = api_keys.authenticate(session, token)
    return _record_key_use(database, principal)


def parse_bearer_token(header: str) -> str:
    """Return the token in the header `Authorization: Bearer <token>`.

    Raises:
        Unauthenticated: The header is missing or has another scheme.
    """
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("This path requires an API key.")
    return token.strip()


def _authenticate_session(
    database: Database, token: str, csrf_token: str | None, *, safe: bool
) -> Principal:
    with database.read() as session:
        principal = browser_sessions.authenticate(session, token)
    expected = browser_sessions.derive_csrf_token(token)
    if not safe and not hmac.compare_digest(expected.encode(), (csrf_token or "").encode()):
        raise CsrfInvalid("The X-CSRF-Token header does not match this session.")
    return _record_key_use(database, principal)


def _record_key_use(database: Database, principal: Principal) -> Principal:
    if principal.id.startswith("key_") and api_keys.is_use_due(principal, datetime.now(UTC)):
        with database.write() as session:
            api_keys.record_use(session, principal)
    return principal
