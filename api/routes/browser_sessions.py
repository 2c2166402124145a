"""Browser sessions. A cookie replaces the API key, so that pages need not store the key."""

from datetime import datetime, timedelta

from fastapi import APIRouter, Request, Response

from api.auth.credentials import SESSION_COOKIE, get_session_token
from api.deps import Caller, Services, ServicesDep
from api.schemas.access_schemas import CallerOut, SessionOut
from registry.access import browser_sessions
from registry.access.permissions import Principal
from registry.errors import NotFound, Unauthenticated

PATH = "/v1/session"
router = APIRouter(prefix=PATH, tags=["session"])


@router.post("", operation_id="create_session", summary="Sign In", status_code=201)
def create_session(
    request: Request, response: Response, services: ServicesDep, caller: Caller
) -> SessionOut:
    """Sign a browser in with the key or token in the Authorization header.

    The response sets an HttpOnly cookie that grants the same access as the credential.
    """
    # A session that could create another session would never end.
    if "authorization" not in request.headers:
        raise Unauthenticated(
            "Signing in requires an API key or token. A session cookie is not enough."
        )
    token, expires_at = start_session(request, response, services, caller)
    return SessionOut(
        me=CallerOut.model_validate(caller),
        csrf_token=browser_sessions.derive_csrf_token(token),
        expires_at=expires_at,
    )


@router.get("", operation_id="get_session")
def get_session(
    request: Request, response: Response, services: ServicesDep, caller: Caller
) -> SessionOut:
    """Get the session that the cookie identifies, including its CSRF token."""
    token = get_session_token(request.headers) or ""
    with services.database.read() as session:
        expires_at = browser_sessions.get_expiry(session, token)
    if expires_at is None:
        raise NotFound("The request has no session cookie.")
    response.headers["Cache-Control"] = "no-store"
    return SessionOut(
        me=CallerOut.model_validate(caller),
        csrf_token=browser_sessions.derive_csrf_token(token),
        expires_at=expires_at,
    )


@router.delete("", operation_id="delete_session", summary="Sign Out", status_code=204)
def delete_session(
    request: Request, response: Response, services: ServicesDep, caller: Caller
) -> None:
    """Sign the browser out. Copies of its cookie also become invalid."""
    token = get_session_token(request.headers)
    if token is None:
        raise NotFound("The request has no session cookie.")
    with services.database.write() as session:
        browser_sessions.end_session(session, token, actor=caller)
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")


def start_session(
    request: Request, response: Response, services: Services, principal: Principal
) -> tuple[str, datetime]:
    """Create a session, set its cookie and return its token and expiry time.

    The cookie is valid for this host only. Scripts cannot read it, and browsers do not send it with
    requests from other sites.
    """
    seconds = services.settings.session_seconds
    with services.database.write() as session:
        token, expires_at = browser_sessions.create_session(
            session, principal, lifetime=timedelta(seconds=seconds)
        )
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=int(seconds),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return token, expires_at
