"""Bearer tokens of an OpenID Connect issuer: a real server with real keys."""

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from time import time
from typing import Any

import pytest
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from api import issuer as module
from api.app import create_app
from registry.db import Database
from registry.settings import Settings
from registry.store import Store
from registry.testing import MemoryQueue
from tests.listening import listening


@dataclass
class Issuer:
    """Its address, and the keys that it publishes."""

    url: str = ""
    claimed: str = ""
    keys: list[Any] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    told = Issuer(
        keys=[RSAKey.generate_key(2048, parameters={"kid": "one"}), ECKey.generate_key("P-256", parameters={"kid": "two"})]
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append(self.path)
            answers: dict[str, Any] = {
                "/.well-known/openid-configuration": {"issuer": told.claimed or told.url, "jwks_uri": f"{told.url}/keys"},
                "/keys": {"keys": [key.as_dict(private=False) for key in told.keys]},
            }
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answers[self.path]).encode())

    with listening(Handler) as port:
        told.url = f"http://127.0.0.1:{port}"
        yield told


@pytest.fixture
def client(settings: Settings, database: Database, store: Store, issuer: Issuer) -> Iterator[TestClient]:
    oidc = {"oidc_issuer": issuer.url, "oidc_audience": "dlkd", "oidc_owner_claim": "team", "oidc_role_claim": "groups"}
    trusting = Settings(**settings.model_dump(include={"data"}), **oidc, oidc_roles={"ml": "submitter", "ops": "operator"})
    with TestClient(create_app(trusting, database, MemoryQueue(), store), base_url="http://127.0.0.1:8000") as client:
        yield client


def claims(issuer: Issuer, **changes: Any) -> dict[str, Any]:
    at = int(time())
    good = {"iss": issuer.url, "aud": "dlkd", "sub": "u1", "team": "vision", "groups": ["ml"], "iat": at, "exp": at + 300}
    return {name: value for name, value in (good | changes).items() if value is not None}


def token(key: Any, payload: dict[str, Any], algorithm: str = "RS256") -> str:
    return jwt.encode({"alg": algorithm, "kid": key.kid}, payload, key, algorithms=[algorithm])


def part(value: dict[str, Any]) -> bytes:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def me(client: TestClient, bearer: str) -> Any:
    return client.get("/v1/me", headers={"Authorization": f"Bearer {bearer}"})


@pytest.mark.parametrize(("index", "algorithm"), [(0, "RS256"), (1, "ES256")])
def test_a_good_token_has_an_owner_and_a_role(client: TestClient, issuer: Issuer, index: int, algorithm: str) -> None:
    answer = me(client, token(issuer.keys[index], claims(issuer), algorithm)).json()
    assert answer["id"].startswith("oidc_")
    assert (answer["name"], answer["owner"], answer["role"]) == ("u1", "vision", "submitter")
    greatest = me(client, token(issuer.keys[index], claims(issuer, groups=["ml", "ops"]), algorithm)).json()
    assert (greatest["id"], greatest["role"]) == (answer["id"], "operator")
    assert issuer.asked.count("/keys") == 1  # kept


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another"},
        {"aud": None},
        {"iss": "https://another.example"},
        {"exp": int(time()) - 3600},
        {"exp": None},
        {"nbf": int(time()) + 3600},
        {"team": None},
        {"team": ["a"]},
        {"sub": None},
    ],
)
def test_a_token_for_others_or_another_time_is_refused(client: TestClient, issuer: Issuer, changes: dict[str, Any]) -> None:
    answer = me(client, token(issuer.keys[0], claims(issuer, **changes)))
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


def test_what_is_signed_otherwise_is_refused(client: TestClient, issuer: Issuer) -> None:
    stranger = RSAKey.generate_key(2048, parameters={"kid": "one"})
    public = issuer.keys[0].as_pem(private=False)  # which everybody has
    none = part({"alg": "none"}) + b"." + part(claims(issuer)) + b"."
    symmetric = part({"alg": "HS256", "kid": "one"}) + b"." + part(claims(issuer))
    forged = [
        token(stranger, claims(issuer)),
        none.decode(),
        (symmetric + b"." + urlsafe_b64encode(hmac.digest(public, symmetric, "sha256")).rstrip(b"=")).decode(),
        token(issuer.keys[0], claims(issuer))[:-4] + "AAAA",
        "no.token.atall",
    ]
    assert [me(client, one).status_code for one in forged] == [401] * 5


def test_new_keys_of_the_issuer_are_found(client: TestClient, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    old = issuer.keys[0]
    assert me(client, token(old, claims(issuer))).status_code == 200
    issuer.keys = [RSAKey.generate_key(2048, parameters={"kid": "three"})]
    assert me(client, token(issuer.keys[0], claims(issuer))).status_code == 401  # asked a moment ago
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.0)
    assert me(client, token(issuer.keys[0], claims(issuer))).status_code == 200
    assert me(client, token(old, claims(issuer))).status_code == 401


def test_a_token_without_a_role_is_known_and_may_nothing(client: TestClient, issuer: Issuer) -> None:
    answer = me(client, token(issuer.keys[0], claims(issuer, groups=["sales"])))
    assert (answer.status_code, answer.json()["code"]) == (403, "role_too_low")


def test_an_issuer_that_says_it_is_another_is_not_believed(client: TestClient, issuer: Issuer) -> None:
    issuer.claimed = "https://another.example"
    answer = me(client, token(issuer.keys[0], claims(issuer)))
    assert (answer.status_code, answer.json()["code"]) == (503, "issuer_unavailable")
