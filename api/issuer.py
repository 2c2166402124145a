"""OpenID Connect: bearer tokens of one issuer, checked by its published keys."""

import hashlib
import hmac
from collections.abc import Mapping
from threading import Lock
from time import monotonic
from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from registry.access import Principal, Role
from registry.errors import RoleTooLow, StoreError, TokenInvalid
from registry.settings import Settings

# Signatures that need the issuer's private key. HMAC would make the public key a secret, and `none` is none.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
_LEEWAY_SECONDS = 60
_KEPT_SECONDS = 600.0
_PAUSE_SECONDS = 5.0  # a token that names an unknown key has us ask again, but not at any rate
_TIMEOUT_SECONDS = 5.0


class IssuerAway(StoreError):
    code = "issuer_unavailable"
    default_hint = "Try again in a while; keys of this service go on working."


class Issuer:
    """The issuer of the settings; its keys are fetched when the first token comes, and again when it has new ones."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._issuer, self._audience = settings.oidc_issuer or "", settings.oidc_audience or ""
        self._url = (settings.oidc_issuer or "").rstrip("/")
        self._lock = Lock()
        self._keys: KeySet | None = None
        self._document: dict[str, Any] = {}
        self._fetched = 0.0

    def principal(self, token: str) -> Principal:
        """Whom the token speaks of. `TokenInvalid` where it is not good here, `RoleTooLow` where it gives no role."""
        return self._principal(self._claims(token, self._audience))

    def signed_in(self, token: str, nonce: str) -> Principal:
        """Whom the ID token of a sign-in speaks of; it is for our client, and for the sign-in of this nonce alone."""
        claims = self._claims(token, self._settings.oidc_client_id or "")
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise TokenInvalid("The ID token is the answer to another sign-in.")
        return self._principal(claims)

    def endpoint(self, name: str) -> str:
        """The address of one of the issuer's services, as its configuration tells."""
        self._current(_KEPT_SECONDS)
        try:
            return str(self._document[name])
        except KeyError as error:
            raise IssuerAway(f"The issuer {self._url} names no {name}.") from error

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        owner, subject = _text(claims, self._settings.oidc_owner_claim), _text(claims, "sub")
        role = self._role(claims)
        digest = hashlib.sha256(f"{claims['iss']}|{subject}".encode()).hexdigest()[:26]
        return Principal(f"oidc_{digest}", str(claims.get("preferred_username") or subject)[:255], role, owner)

    def _claims(self, token: str, audience: str) -> dict[str, Any]:
        rules = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_SECONDS,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": audience},
            sub={"essential": True},
            exp={"essential": True},
        )
        try:
            claims = self._decoded(token).claims
            rules.validate(claims)
        except (JoseError, ValueError) as error:
            raise TokenInvalid(f"The token is not good here: {error}.") from error
        return claims

    def _decoded(self, token: str) -> jwt.Token:
        keys, fetched = self._current(_KEPT_SECONDS)
        try:
            return jwt.decode(token, keys, algorithms=_ALGORITHMS)
        except (JoseError, ValueError):
            newer, again = self._current(_PAUSE_SECONDS)  # the issuer may have changed its keys
            if again == fetched:
                raise
            return jwt.decode(token, newer, algorithms=_ALGORITHMS)

    def _current(self, kept: float) -> tuple[KeySet, float]:
        """The keys, fetched again where they are older than `kept` seconds, and when they were fetched."""
        with self._lock:
            if self._keys is None or monotonic() - self._fetched > kept:
                self._keys = self._fetch()
                self._fetched = monotonic()
            return self._keys, self._fetched

    def _fetch(self) -> KeySet:
        try:
            with httpx.Client(timeout=_TIMEOUT_SECONDS) as client:
                found = _json(client, f"{self._url}/.well-known/openid-configuration")
                if found.get("issuer") != self._issuer:
                    raise IssuerAway(f"{self._url} says that it is the issuer {found.get('issuer')!r}.")
                self._document = found
                return KeySet.import_key_set(_json(client, str(found["jwks_uri"])))  # type: ignore[arg-type] # it checks itself
        except (httpx.HTTPError, ValueError, KeyError, JoseError) as error:
            raise IssuerAway(f"The keys of the issuer {self._url} cannot be had: {error!r}.") from error

    def _role(self, claims: Mapping[str, Any]) -> Role:
        """The greatest role that the claim's words stand for."""
        told = claims.get(self._settings.oidc_role_claim, [])
        words = told.split() if isinstance(told, str) else list(told) if isinstance(told, list) else []
        roles = [role for word, role in self._settings.oidc_roles.items() if word in words]
        if self._settings.oidc_default_role is not None:
            roles.append(self._settings.oidc_default_role)
        if not roles:
            raise RoleTooLow(f"The token's claim {self._settings.oidc_role_claim} gives no role in this service.")
        return max(roles, key=list(Role).index)


def _json(client: httpx.Client, url: str) -> dict[str, Any]:
    answer = client.get(url).raise_for_status().json()
    if not isinstance(answer, dict):
        raise ValueError(f"{url} is no JSON object")  # noqa: TRY004 - the issuer's fault, not the caller's
    return answer


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value or len(value) > 255:  # what the columns hold
        raise TokenInvalid(f"The token has no usable claim {name}.")
    return value
