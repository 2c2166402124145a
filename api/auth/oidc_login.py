"""Browser login through the OpenID Connect issuer: authorization code flow with PKCE (RFC 7636)."""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlencode

import httpx

from api.auth.oidc import Issuer, IssuerUnavailable
from registry.access.permissions import Principal
from registry.errors import TokenInvalid
from registry.settings import Settings

_TIMEOUT_SECONDS = 10.0
_SEPARATOR = "."  # not a character of the tokens' URL-safe base64 alphabet


class LoginInvalid(TokenInvalid):
    code = "login_invalid"
    default_hint = "Start over, and sign in within ten minutes in the same browser."


class LoginDenied(LoginInvalid):
    code = "login_denied"
    default_hint = "Sign in with another account, or contact your organization."


@dataclass(frozen=True)
class PendingLogin:
    """Secrets of a login in progress.

    The login cookie holds them until the issuer redirects the browser back.
    """

    state: str
    nonce: str
    code_verifier: str

    @classmethod
    def create(cls) -> Self:
        """Return a login with new random secrets."""
        return cls(*(secrets.token_urlsafe(32) for _ in range(3)))

    @classmethod
    def from_cookie(cls, cookie: str | None) -> Self:
        """Parse the login cookie.

        Raises:
            LoginInvalid: The cookie is missing or malformed.
        """
        tokens = (cookie or "").split(_SEPARATOR)
        if len(tokens) != 3 or not all(tokens):
            raise LoginInvalid("This browser has not started a login, or the login has expired.")
        return cls(*tokens)

    def __str__(self) -> str:
        return _SEPARATOR.join((self.state, self.nonce, self.code_verifier))

    @property
    def code_challenge(self) -> str:
        """The S256 code challenge for the code verifier (RFC 7636, 4.2)."""
        digest = hashlib.sha256(self.code_verifier.encode()).digest()
        return urlsafe_b64encode(digest).rstrip(b"=").decode()


def build_authorization_url(
    settings: Settings, issuer: Issuer, pending: PendingLogin, redirect_uri: str
) -> str:
    """Return the URL of the issuer's login page.

    Raises:
        IssuerUnavailable: The issuer's metadata cannot be fetched.
    """
    query = {
        "response_type": "code",
        "client_id": settings.oidc_client_id,
        "redirect_uri": redirect_uri,
        "scope": settings.oidc_scopes,
        "state": pending.state,
        "nonce": pending.nonce,
        "code_challenge": pending.code_challenge,
        "code_challenge_method": "S256",
    }
    endpoint = issuer.get_endpoint("authorization_endpoint")
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"


def complete_login(
    settings: Settings,
    issuer: Issuer,
    pending: PendingLogin,
    query: dict[str, str],
    redirect_uri: str,
) -> Principal:
    """Return the principal that signed in.

    Raises:
        LoginInvalid: The response belongs to a different sign-in attempt, or there is no ID token.
        LoginDenied: The issuer denied the login.
        TokenInvalid: The ID token is invalid.
        RoleTooLow: The ID token grants no role in this service.
        IssuerUnavailable: The issuer's token endpoint or keys cannot be reached.
    """
    if not hmac.compare_digest(query.get("state", "").encode(), pending.state.encode()):
        raise LoginInvalid(
            "The response from the identity provider belongs to a different sign-in attempt."
        )
    if "code" not in query:
        reason = query.get("error", "unknown reason")[:100]
        raise LoginDenied(f"The identity provider denied the login: {reason}.")
    id_token = _fetch_id_token(settings, issuer, pending, query["code"], redirect_uri)
    return issuer.verify_id_token(id_token, pending.nonce)


def _fetch_id_token(
    settings: Settings, issuer: Issuer, pending: PendingLogin, code: str, redirect_uri: str
) -> str:
    """Exchange the authorization code for an ID token."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": pending.code_verifier,
        "client_id": settings.oidc_client_id or "",
    }
    secret = settings.oidc_client_secret
    auth = (
        None
        if secret is None
        else httpx.BasicAuth(settings.oidc_client_id or "", secret.get_secret_value())
    )
    try:
        with httpx.Client(timeout=_TIMEOUT_SECONDS, auth=auth) as client:
            response = client.post(issuer.get_endpoint("token_endpoint"), data=form)
            document: Any = response.json()
    except (httpx.HTTPError, ValueError) as error:
        raise IssuerUnavailable(f"The issuer's token endpoint failed: {error!r}.") from error
    if (
        not response.is_success
        or not isinstance(document, dict)
        or not isinstance(document.get("id_token"), str)
    ):
        raise LoginInvalid(f"The issuer returned no ID token (HTTP {response.status_code}).")
    return str(document["id_token"])
