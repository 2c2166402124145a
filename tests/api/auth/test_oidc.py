"""Bearer tokens that an OpenID Connect issuer signs. The issuer is a real HTTP server."""

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

from api.app import create_app
from api.auth import oidc
from registry.db.database import Database
from registry.settings import Settings
from registry.storage.object_store import Store
from registry.testing import InMemoryJobQueue
from tests.support.http_server import run_http_server


@dataclass
class FakeIssuer:
    """The URL and published keys of an issuer, and a record of the paths that were requested."""

    url: str = ""
    announced_url: str = ""
    keys: list[Any] = field(default_factory=list)
    requested_paths: list[str] = field(default_factory=list)


@pytest.fixture
def issuer() -> Iterator[FakeIssuer]:
    fake = FakeIssuer(
        keys=[
            RSAKey.generate_key(2048, parameters={"kid": "one"}),
            ECKey.generate_key("P-256", parameters={"kid": "two"}),
        ]
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fake.requested_paths.append(self.path)
            responses: dict[str, Any] = {
                "/.well-known/openid-configuration": {
                    "issuer": fake.announced_url or fake.url,
                    "jwks_uri": f"{fake.url}/keys",
                },
                "/keys": {"keys": [key.as_dict(private=False) for key in fake.keys]},
            }
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(responses[self.path]).encode())

    with run_http_server(Handler) as port:
        fake.url = f"http://127.0.0.1:{port}"
        yield fake


@pytest.fixture
def client(
    settings: Settings, database: Database, store: Store, issuer: FakeIssuer
) -> Iterator[TestClient]:
    options = {
        "oidc_issuer": issuer.url,
        "oidc_audience": "dlkd",
        "oidc_owner_claim": "team",
        "oidc_role_claim": "groups",
    }
    oidc_settings = Settings(
        **settings.model_dump(include={"data"}),
        **options,
        oidc_roles={"ml": "submitter", "ops": "operator"},
    )
    with TestClient(
        create_app(oidc_settings, database, InMemoryJobQueue(), store),
        base_url="http://127.0.0.1:8000",
    ) as client:
        yield client


def build_claims(issuer: FakeIssuer, **changes: Any) -> dict[str, Any]:
    now = int(time())
    claims = {
        "iss": issuer.url,
        "aud": "dlkd",
        "sub": "u1",
        "team": "vision",
        "groups": ["ml"],
        "iat": now,
        "exp": now + 300,
    }
    return {name: value for name, value in (claims | changes).items() if value is not None}


def sign_token(key: Any, payload: dict[str, Any], algorithm: str = "RS256") -> str:
    return jwt.encode({"alg": algorithm, "kid": key.kid}, payload, key, algorithms=[algorithm])


def encode_part(value: dict[str, Any]) -> bytes:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def get_me(client: TestClient, bearer: str) -> Any:
    return client.get("/v1/me", headers={"Authorization": f"Bearer {bearer}"})


@pytest.mark.parametrize(("index", "algorithm"), [(0, "RS256"), (1, "ES256")])
def test_a_valid_token_has_an_owner_and_a_role(
    client: TestClient, issuer: FakeIssuer, index: int, algorithm: str
) -> None:
    response = get_me(
        client, sign_token(issuer.keys[index], build_claims(issuer), algorithm)
    ).json()
    assert response["id"].startswith("oidc_")
    assert (response["name"], response["owner"], response["role"]) == ("u1", "vision", "submitter")
    highest = get_me(
        client,
        sign_token(issuer.keys[index], build_claims(issuer, groups=["ml", "ops"]), algorithm),
    ).json()
    assert (highest["id"], highest["role"]) == (response["id"], "operator")
    assert issuer.requested_paths.count("/keys") == 1  # the keys were cached


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
def test_a_token_for_another_audience_or_time_is_rejected(
    client: TestClient, issuer: FakeIssuer, changes: dict[str, Any]
) -> None:
    response = get_me(client, sign_token(issuer.keys[0], build_claims(issuer, **changes)))
    assert (response.status_code, response.json()["code"]) == (401, "token_invalid")


def test_a_forged_signature_is_rejected(client: TestClient, issuer: FakeIssuer) -> None:
    other_key = RSAKey.generate_key(2048, parameters={"kid": "one"})
    public_pem = issuer.keys[0].as_pem(private=False)
    unsigned = encode_part({"alg": "none"}) + b"." + encode_part(build_claims(issuer)) + b"."
    symmetric = (
        encode_part({"alg": "HS256", "kid": "one"}) + b"." + encode_part(build_claims(issuer))
    )
    forged = [
        sign_token(other_key, build_claims(issuer)),
        unsigned.decode(),
        (
            symmetric
            + b"."
            + urlsafe_b64encode(hmac.digest(public_pem, symmetric, "sha256")).rstrip(b"=")
        ).decode(),
        sign_token(issuer.keys[0], build_claims(issuer))[:-4] + "AAAA",
        "no.token.atall",
    ]
    assert [get_me(client, token).status_code for token in forged] == [401] * 5


def test_rotated_keys_of_the_issuer_are_fetched(
    client: TestClient, issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_key = issuer.keys[0]
    assert get_me(client, sign_token(old_key, build_claims(issuer))).status_code == 200
    issuer.keys = [RSAKey.generate_key(2048, parameters={"kid": "three"})]
    # The service fetched the keys a moment ago, so it does not fetch them again yet.
    assert get_me(client, sign_token(issuer.keys[0], build_claims(issuer))).status_code == 401
    monkeypatch.setattr(oidc, "_MIN_REFETCH_SECONDS", 0.0)
    assert get_me(client, sign_token(issuer.keys[0], build_claims(issuer))).status_code == 200
    assert get_me(client, sign_token(old_key, build_claims(issuer))).status_code == 401


def test_a_token_without_a_role_is_forbidden(client: TestClient, issuer: FakeIssuer) -> None:
    response = get_me(client, sign_token(issuer.keys[0], build_claims(issuer, groups=["sales"])))
    assert (response.status_code, response.json()["code"]) == (403, "role_too_low")


def test_an_issuer_that_announces_another_url_is_unavailable(
    client: TestClient, issuer: FakeIssuer
) -> None:
    issuer.announced_url = "https://another.example"
    response = get_me(client, sign_token(issuer.keys[0], build_claims(issuer)))
    assert (response.status_code, response.json()["code"]) == (503, "issuer_unavailable")
