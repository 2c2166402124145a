"""Browser login through the OpenID Connect issuer."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from api.auth import oidc_login
from api.auth.credentials import get_session_token
from api.auth.oidc import Issuer, IssuerUnavailable
from api.auth.oidc_login import PendingLogin
from api.deps import Services, ServicesDep
from api.routes.browser_sessions import start_session
from dlkd_core import __version__
from dlkd_core.errors import DistillationError
from registry.access import browser_sessions
from registry.errors import NotFound, RegistryError, Unauthenticated

PATH = "/login"
_LOGIN_COOKIE = "dlkd_login"
_LOGIN_SECONDS = 600
# The callback URL contains the authorization code, which must not leak through a Referer header.
_NO_STORE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
router = APIRouter(include_in_schema=False)


@router.get(PATH)
def get_login_options(request: Request, services: ServicesDep) -> Response:
    """Return whether the browser is signed in, and the login options for the sign-in page."""
    options = {
        "signed_in": _is_signed_in(request, services),
        "oidc": services.settings.oidc_client_id is not None,
        "version": __version__,
    }
    return JSONResponse(options, headers=_NO_STORE)


@router.get(f"{PATH}/oidc")
def redirect_to_issuer(request: Request, services: ServicesDep) -> Response:
    """Redirect the browser to the issuer's login page."""
    pending, issuer = PendingLogin.create(), _get_issuer(request)
    try:
        url = oidc_login.build_authorization_url(
            services.settings, issuer, pending, _get_redirect_uri(request, services)
        )
    except IssuerUnavailable as error:
        return _redirect_with_error(error)
    response = RedirectResponse(url, 303, _NO_STORE)
    response.set_cookie(
        _LOGIN_COOKIE,
        str(pending),
        max_age=_LOGIN_SECONDS,
        path=PATH,
        httponly=True,
        # A strict cookie would not be sent when the issuer redirects the browser to the callback.
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return response


@router.get(f"{PATH}/oidc/callback")
def handle_issuer_callback(request: Request, services: ServicesDep) -> Response:
    """Complete the login and redirect to the portal.

    If the login failed, the portal's URL contains the error code.
    """
    issuer, redirect_uri = _get_issuer(request), _get_redirect_uri(request, services)
    try:
        pending = PendingLogin.from_cookie(request.cookies.get(_LOGIN_COOKIE))
        principal = oidc_login.complete_login(
            services.settings, issuer, pending, dict(request.query_params), redirect_uri
        )
    except (RegistryError, DistillationError) as error:
        response = _redirect_with_error(error)
    else:
        response = RedirectResponse("/", 303, _NO_STORE)
        start_session(request, response, services, principal)
    response.delete_cookie(_LOGIN_COOKIE, path=PATH)
    return response


def _redirect_with_error(error: RegistryError | DistillationError) -> Response:
    return RedirectResponse(f"/?refused={error.code}", 303, _NO_STORE)


def _get_issuer(request: Request) -> Issuer:
    issuer: Issuer | None = request.app.state.issuer
    if issuer is None or request.app.state.services.settings.oidc_client_id is None:
        raise NotFound(
            "This service does not support login through an identity provider.",
            hint="The operator can enable it by setting DLKD_OIDC_CLIENT_ID.",
        )
    return issuer


def _get_redirect_uri(request: Request, services: Services) -> str:
    """Return the callback URL, which must be registered with the issuer.

    The URL is derived from the address of the request, unless a setting overrides it.
    """
    return (
        services.settings.oidc_redirect_url
        or f"{request.url.scheme}://{request.url.netloc}{PATH}/oidc/callback"
    )


def _is_signed_in(request: Request, services: Services) -> bool:
    token = get_session_token(request.headers)
    if token is None:
        return False
    with services.database.read() as session:
        try:
            browser_sessions.authenticate(session, token)
        except Unauthenticated:
            return False
        return True
