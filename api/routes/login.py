"""Before anybody is signed in: how one can, and the way to the issuer and back."""

from datetime import timedelta

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from api import authorization
from api.authorization import Login
from api.deps import Parts, Services
from api.identity import session_token
from api.issuer import Issuer, IssuerAway
from api.routes.sessions import set_cookie
from dlkd_core import __version__
from dlkd_core.errors import DistillationError
from registry import sign_ins
from registry.errors import NotFound, RegistryError, Unauthenticated

PATH = "/login"
_COOKIE = "dlkd_login"
_SECONDS = 600
_NO_STORE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}  # the code stands in the address
router = APIRouter(include_in_schema=False)


@router.get(PATH)
def login(request: Request, parts: Parts) -> Response:
    """What a page must know before anybody is signed in."""
    oidc = parts.settings.oidc_client_id is not None
    return JSONResponse({"signed_in": _is_signed_in(request, parts), "oidc": oidc, "version": __version__}, headers=_NO_STORE)


@router.get(f"{PATH}/oidc")
def to_issuer(request: Request, parts: Parts) -> Response:
    """Sends the browser to the issuer. The cookie goes along when it comes back from there, which a strict one would not."""
    begun, issuer = Login.begin(), _issuer(request)
    try:
        address = authorization.address(parts.settings, issuer, begun, _callback(request, parts))
    except IssuerAway as error:
        return _refused(error)
    response = RedirectResponse(address, 303, _NO_STORE)
    secure = request.url.scheme == "https"
    response.set_cookie(_COOKIE, str(begun), max_age=_SECONDS, path=PATH, httponly=True, samesite="lax", secure=secure)
    return response


@router.get(f"{PATH}/oidc/callback")
def from_issuer(request: Request, parts: Parts) -> Response:
    """Signs in whoever came back, or says on the sign-in page why not."""
    issuer, callback = _issuer(request), _callback(request, parts)
    try:
        begun = Login.read(request.cookies.get(_COOKIE))
        who = authorization.finish(parts.settings, issuer, begun, dict(request.query_params), callback)
    except (RegistryError, DistillationError) as error:
        response = _refused(error)
    else:
        with parts.database.write() as session:
            token, _ = sign_ins.begin(session, who, lasts=timedelta(seconds=parts.settings.session_seconds))
        response = RedirectResponse("/", 303, _NO_STORE)
        set_cookie(response, token, parts.settings.session_seconds, secure=request.url.scheme == "https")
    response.delete_cookie(_COOKIE, path=PATH)
    return response


def _refused(error: RegistryError | DistillationError) -> Response:
    """The sign-in page, which says why."""
    return RedirectResponse(f"/?refused={error.code}", 303, _NO_STORE)


def _issuer(request: Request) -> Issuer:
    issuer: Issuer | None = request.app.state.issuer
    if issuer is None or request.app.state.services.settings.oidc_client_id is None:
        raise NotFound("People do not sign in here by an issuer.", hint="An operator sets DLKD_OIDC_CLIENT_ID.")
    return issuer


def _callback(request: Request, parts: Services) -> str:
    """The address to come back to, which the issuer must know: as this request was addressed, unless a setting says otherwise."""
    return parts.settings.oidc_redirect_url or f"{request.url.scheme}://{request.url.netloc}{PATH}/oidc/callback"


def _is_signed_in(request: Request, parts: Services) -> bool:
    token = session_token(request.headers)
    if token is None:
        return False
    with parts.database.read() as session:
        try:
            sign_ins.authenticate(session, token)
        except Unauthenticated:
            return False
        return True
