"""Signing people in at the issuer: OpenID Connect's authorization code flow with PKCE (RFC 7636). Browsers carry no token."""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlencode

import httpx

from api.issuer import Issuer, IssuerAway
from registry.access import Principal
from registry.errors import TokenInvalid
from registry.settings import Settings

_TIMEOUT_SECONDS = 10.0
_SEPARATOR = "."  # in none of the words, which are base64


class LoginInvalid(TokenInvalid):
    code = "login_invalid"
    default_hint = "Begin signing in again, in one window and within ten minutes."


class LoginDenied(LoginInvalid):
    code = "login_denied"
    default_hint = "Sign in with another account, or ask your organisation."


@dataclass(frozen=True)
class Login:
    """What this browser alone knows about a sign-in that it began; it keeps it in a cookie until it comes back."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def begin(cls) -> Self:
        return cls(*(secrets.token_urlsafe(32) for _ in range(3)))

    @classmethod
    def read(cls, cookie: str | None) -> Self:
        """From the cookie; `LoginInvalid` where there is none."""
        words = (cookie or "").split(_SEPARATOR)
        if len(words) != 3 or not all(words):
            raise LoginInvalid("This browser began no sign-in, or too long ago.")
        return cls(*words)

    def __str__(self) -> str:
        return _SEPARATOR.join((self.state, self.nonce, self.verifier))

    @property
    def challenge(self) -> str:
        """What the issuer is told of the verifier."""
        return urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()


def address(settings: Settings, issuer: Issuer, login: Login, callback: str) -> str:
    """Where the browser goes to sign in."""
    query = {
        "response_type": "code",
        "client_id": settings.oidc_client_id,
        "redirect_uri": callback,
        "scope": settings.oidc_scopes,
        "state": login.state,
        "nonce": login.nonce,
        "code_challenge": login.challenge,
        "code_challenge_method": "S256",
    }
    at = issuer.endpoint("authorization_endpoint")
    return f"{at}{'&' if '?' in at else '?'}{urlencode(query)}"


def finish(settings: Settings, issuer: Issuer, login: Login, query: dict[str, str], callback: str) -> Principal:
    """Who came back. `LoginInvalid`: not the answer to this login; `LoginDenied`: it is a no; else as `Issuer.signed_in`."""
    if not hmac.compare_digest(query.get("state", "").encode(), login.state.encode()):
        raise LoginInvalid("This is the answer to another sign-in.")
    if "code" not in query:
        raise LoginDenied(f"The issuer did not sign you in: {query.get('error', 'it gave no reason')[:100]}.")
    return issuer.signed_in(_token(settings, issuer, login, query["code"], callback), login.nonce)


def _token(settings: Settings, issuer: Issuer, login: Login, code: str, callback: str) -> str:
    """The ID token that the code is worth, fetched from the issuer itself."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": callback, "code_verifier": login.verifier}
    secret = settings.oidc_client_secret
    auth = None if secret is None else httpx.BasicAuth(settings.oidc_client_id or "", secret.get_secret_value())
    try:
        with httpx.Client(timeout=_TIMEOUT_SECONDS, auth=auth) as client:
            answer = client.post(issuer.endpoint("token_endpoint"), data={**form, "client_id": settings.oidc_client_id or ""})
            found: Any = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise IssuerAway(f"The issuer's token endpoint cannot be had: {error!r}.") from error
    if not answer.is_success or not isinstance(found, dict) or not isinstance(found.get("id_token"), str):
        raise LoginInvalid(f"The issuer gave no ID token for the code ({answer.status_code}).")
    return str(found["id_token"])
