"""Browsers, signed in and out. The key goes into a cookie's place once, and no page keeps it."""

from datetime import timedelta

from fastapi import APIRouter, Request, Response

from api.access_schemas import MeOut, SessionOut
from api.deps import Caller, Parts
from api.identity import COOKIE, session_token
from registry import sign_ins
from registry.errors import NotFound, Unauthenticated

PATH = "/v1/session"
router = APIRouter(prefix=PATH, tags=["session"])


@router.post("", operation_id="create_session", status_code=201)
def create_session(request: Request, response: Response, parts: Parts, caller: Caller) -> SessionOut:
    """Signs a browser in with the key or token of the Authorization header: an HttpOnly cookie opens what that opens."""
    if "authorization" not in request.headers:  # a session that begins another would never end
        raise Unauthenticated("Signing in needs the key itself.")
    with parts.database.write() as session:
        token, ends = sign_ins.begin(session, caller, lasts=timedelta(seconds=parts.settings.session_seconds))
    set_cookie(response, token, parts.settings.session_seconds, secure=request.url.scheme == "https")
    return SessionOut(me=MeOut.model_validate(caller), csrf_token=sign_ins.csrf_token(token), expires_at=ends)


@router.get("", operation_id="get_session")
def get_session(request: Request, response: Response, parts: Parts, caller: Caller) -> SessionOut:
    """Who is signed in by the cookie, and the token that its changes need."""
    token = session_token(request.headers) or ""
    with parts.database.read() as session:
        ends = sign_ins.ends_at(session, token)
    if ends is None:
        raise NotFound("This request carries no session.")
    response.headers["Cache-Control"] = "no-store"
    return SessionOut(me=MeOut.model_validate(caller), csrf_token=sign_ins.csrf_token(token), expires_at=ends)


@router.delete("", operation_id="delete_session", status_code=204)
def delete_session(request: Request, response: Response, parts: Parts, caller: Caller) -> None:
    """Signs the browser out: its cookie opens nothing any more, wherever it was copied to."""
    token = session_token(request.headers)
    if token is None:
        raise NotFound("This request carries no session.")
    with parts.database.write() as session:
        sign_ins.end(session, token, actor=caller)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


def set_cookie(response: Response, token: str, seconds: float, *, secure: bool) -> None:
    """For this host alone, out of reach of scripts, and never sent along from a page of another site."""
    response.set_cookie(COOKIE, token, max_age=int(seconds), httponly=True, samesite="strict", secure=secure)
