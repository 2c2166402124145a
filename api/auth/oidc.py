"""OpenID Connect: verification of an issuer's tokens with its published keys."""

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

from registry.access.permissions import Principal, Role
from registry.errors import RoleTooLow, StoreError, TokenInvalid
from registry.settings import Settings

# Only algorithms that sign with the issuer's private key. With HMAC, anyone could sign with the
# public key, and `none` means no signature.
_ALGORITHMS = [
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
]
_LEEWAY_SECONDS = 60
_KEY_CACHE_SECONDS = 600.0
# Minimum interval between fetches that are triggered by tokens that cannot be verified.
_MIN_REFETCH_SECONDS = 5.0
_TIMEOUT_SECONDS = 5.0
_MAX_CLAIM_LENGTH = 255  # width of the database columns


class IssuerUnavailable(StoreError):
    code = "issuer_unavailable"
    default_hint = "Try again later. API keys of this service keep working."


class Issuer:
    """The configured OpenID Connect issuer.

    Its metadata and keys are fetched when the first token arrives. They are fetched again when the
    cache expires or a token cannot be verified, because the issuer may have rotated its keys.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._issuer, self._audience = settings.oidc_issuer or "", settings.oidc_audience or ""
        self._issuer_url = (settings.oidc_issuer or "").rstrip("/")
        self._lock = Lock()
        self._keys: KeySet | None = None
        self._metadata: dict[str, Any] = {}
        self._fetched_at = 0.0

    def verify_access_token(self, token: str) -> Principal:
        """Return the principal that an access token identifies.

        Raises:
            TokenInvalid: The token is invalid, expired or meant for another audience.
            RoleTooLow: The token grants no role in this service.
            IssuerUnavailable: The issuer's keys cannot be fetched.
        """
        return self._build_principal(self._validate_claims(token, self._audience))

    def verify_id_token(self, token: str, nonce: str) -> Principal:
        """Return the principal that the ID token of a login identifies.

        The token must be issued for this service's client id and carry the nonce of the login.

        Raises:
            TokenInvalid: The token is invalid or belongs to a different sign-in attempt.
            RoleTooLow: The token grants no role in this service.
            IssuerUnavailable: The issuer's keys cannot be fetched.
        """
        claims = self._validate_claims(token, self._settings.oidc_client_id or "")
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise TokenInvalid("The ID token belongs to a different sign-in attempt.")
        return self._build_principal(claims)

    def get_endpoint(self, name: str) -> str:
        """Return the URL of an endpoint from the issuer's metadata.

        Raises:
            IssuerUnavailable: The metadata cannot be fetched or lacks the endpoint.
        """
        self._get_keys(_KEY_CACHE_SECONDS)
        try:
            return str(self._metadata[name])
        except KeyError as error:
            raise IssuerUnavailable(
                f"The metadata of the issuer {self._issuer_url} has no {name}."
            ) from error

    def _build_principal(self, claims: Mapping[str, Any]) -> Principal:
        owner = _get_text_claim(claims, self._settings.oidc_owner_claim)
        subject = _get_text_claim(claims, "sub")
        digest = hashlib.sha256(f"{claims['iss']}|{subject}".encode()).hexdigest()[:26]
        name = str(claims.get("preferred_username") or subject)[:_MAX_CLAIM_LENGTH]
        return Principal(f"oidc_{digest}", name, self._map_role(claims), owner)

    def _validate_claims(self, token: str, audience: str) -> dict[str, Any]:
        claims_registry = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_SECONDS,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": audience},
            sub={"essential": True},
            exp={"essential": True},
        )
        try:
            claims = self._decode(token).claims
            claims_registry.validate(claims)
        except (JoseError, ValueError) as error:
            raise TokenInvalid(f"The token is not valid for this service: {error}.") from error
        return claims

    def _decode(self, token: str) -> jwt.Token:
        keys, fetched_at = self._get_keys(_KEY_CACHE_SECONDS)
        try:
            return jwt.decode(token, keys, algorithms=_ALGORITHMS)
        except (JoseError, ValueError):
            # The issuer may have rotated its keys.
            keys, refetched_at = self._get_keys(_MIN_REFETCH_SECONDS)
            if refetched_at == fetched_at:
                raise
            return jwt.decode(token, keys, algorithms=_ALGORITHMS)

    def _get_keys(self, max_age: float) -> tuple[KeySet, float]:
        """Return keys that are at most `max_age` seconds old, and when they were fetched."""
        with self._lock:
            if self._keys is None or monotonic() - self._fetched_at > max_age:
                self._keys = self._fetch_keys()
                self._fetched_at = monotonic()
            return self._keys, self._fetched_at

    def _fetch_keys(self) -> KeySet:
        try:
            with httpx.Client(timeout=_TIMEOUT_SECONDS) as client:
                metadata = _get_json(client, f"{self._issuer_url}/.well-known/openid-configuration")
                if metadata.get("issuer") != self._issuer:
                    raise IssuerUnavailable(
                        f"The metadata of {self._issuer_url} names another issuer: "
                        f"{metadata.get('issuer')!r}."
                    )
                self._metadata = metadata
                keys = _get_json(client, str(metadata["jwks_uri"]))
                return KeySet.import_key_set(keys)  # type: ignore[arg-type]  # the method validates its argument
        except (httpx.HTTPError, ValueError, KeyError, JoseError) as error:
            raise IssuerUnavailable(
                f"Failed to fetch the keys of the issuer {self._issuer_url}: {error!r}."
            ) from error

    def _map_role(self, claims: Mapping[str, Any]) -> Role:
        """Return the highest role that the role claim grants."""
        claim = claims.get(self._settings.oidc_role_claim)
        values = claim.split() if isinstance(claim, str) else claim
        if not isinstance(values, list):
            values = []
        roles = [role for value, role in self._settings.oidc_roles.items() if value in values]
        if self._settings.oidc_default_role is not None:
            roles.append(self._settings.oidc_default_role)
        if not roles:
            raise RoleTooLow(
                f"The token's {self._settings.oidc_role_claim} claim grants no role in this "
                "service."
            )
        return max(roles, key=list(Role).index)


def _get_json(client: httpx.Client, url: str) -> dict[str, Any]:
    document = client.get(url).raise_for_status().json()
    if not isinstance(document, dict):
        raise ValueError(f"{url} is not a JSON object")  # noqa: TRY004 - the caller handles bad data as ValueError
    return document


def _get_text_claim(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value or len(value) > _MAX_CLAIM_LENGTH:
        raise TokenInvalid(f"The token has no valid {name} claim.")
    return value
