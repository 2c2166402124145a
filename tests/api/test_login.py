"""Signing in at an issuer, by authorization code and PKCE: against a real issuer with real keys."""

import hashlib
import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from time import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import RSAKey

from api.app import create_app
from registry.db import Database
from registry.settings import Settings
from registry.store import Store
from registry.testing import MemoryQueue
from tests.listening import listening

CLIENT, SECRET = "portal", "of-the-client"


@dataclass
class Provider:
    """It signs everybody in at once; what it says of them can be changed."""

    url: str = ""
    key: Any = field(default_factory=lambda: RSAKey.generate_key(2048, parameters={"kid": "one"}))
    says: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def authorize(self, query: dict[str, str]) -> str:
        code = secrets.token_urlsafe(8)
        self.codes[code] = query
        return f"{query['redirect_uri']}?code={code}&state={query['state']}"

    def token(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """By RFC 6749 and RFC 7636: the code once, for the same client and address, with the verifier of the challenge."""
        asked = self.codes.pop(form["code"], None)
        challenge = urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        right = asked and asked["code_challenge"] == challenge and asked["redirect_uri"] == form["redirect_uri"]
        if not right or asked is None or authorization != httpx.BasicAuth(CLIENT, SECRET)._auth_header:
            return None
        at = int(time())
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": "u1",
            "nonce": asked["nonce"],
            "groups": ["ml"],
            "iat": at,
            "exp": at + 60,
        }
        claims |= {"preferred_username": "ada"} | self.says
        return {"id_token": jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key, algorithms=["RS256"])}


@pytest.fixture
def provider() -> Iterator[Provider]:
    told = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/authorize?"):
                query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                self.send_response(302)
                self.send_header("Location", told.authorize(query))
                self.end_headers()
                return
            names = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/keys"}
            document = {"issuer": told.url} | {name: told.url + path for name, path in names.items()}
            self._answer({"keys": [told.key.as_dict(private=False)]} if self.path == "/keys" else document)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            found = told.token(form, self.headers.get("Authorization", ""))
            self._answer(found or {"error": "invalid_grant"}, 200 if found else 400)

        def _answer(self, document: dict[str, Any], status: int = 200) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

    with listening(Handler) as port:
        told.url = f"http://127.0.0.1:{port}"
        yield told


@pytest.fixture
def browser(settings: Settings, database: Database, store: Store, provider: Provider) -> Iterator[TestClient]:
    oidc = {"oidc_issuer": provider.url, "oidc_audience": "dlkd", "oidc_role_claim": "groups", "oidc_roles": {"ml": "submitter"}}
    known = {"oidc_client_id": CLIENT, "oidc_client_secret": SECRET}
    trusting = Settings(**settings.model_dump(include={"data"}), **oidc, **known)
    app = create_app(trusting, database, MemoryQueue(), store)
    with TestClient(app, base_url="http://127.0.0.1:8000", follow_redirects=False) as client:
        yield client


def at_the_issuer(browser: TestClient) -> str:
    """Where the issuer sends the browser back to, after it was sent there."""
    there = browser.get("/login/oidc")
    assert there.status_code == 303
    return httpx.get(there.headers["Location"]).headers["Location"]


def test_whoever_comes_back_is_signed_in(browser: TestClient) -> None:
    assert browser.get("/login").json()["oidc"] is True
    back = browser.get(at_the_issuer(browser))
    assert (back.status_code, back.headers["Location"]) == (303, "/")
    me = browser.get("/v1/me").json()
    assert (me["name"], me["role"]) == ("ada", "submitter")
    token = browser.get("/v1/session").json()["csrf_token"]
    assert browser.delete("/v1/session", headers={"X-CSRF-Token": token}).status_code == 204
    assert browser.get("/v1/me").status_code == 401


def test_the_answer_must_be_to_what_this_browser_began(browser: TestClient) -> None:
    address = at_the_issuer(browser)
    browser.cookies.clear()  # another browser, lured to the address of an attacker's own sign-in
    assert browser.get(address).headers["Location"] == "/?refused=login_invalid"
    at_the_issuer(browser)
    assert browser.get(address).headers["Location"] == "/?refused=login_invalid"
    assert browser.get("/v1/me").status_code == 401


def test_an_answer_is_good_once(browser: TestClient) -> None:
    address = at_the_issuer(browser)
    cookies = dict(browser.cookies)
    assert browser.get(address).headers["Location"] == "/"
    for name, value in cookies.items():
        browser.cookies.set(name, value)
    assert browser.get(address).headers["Location"] == "/?refused=login_invalid"


@pytest.mark.parametrize(
    ("says", "code"),
    [
        ({"nonce": "of another"}, "token_invalid"),
        ({"aud": "another"}, "token_invalid"),
        ({"exp": int(time()) - 3600}, "token_invalid"),
        ({"groups": ["sales"]}, "role_too_low"),
    ],
)
def test_a_token_that_is_not_for_this_sign_in_opens_nothing(
    browser: TestClient, provider: Provider, says: dict[str, Any], code: str
) -> None:
    provider.says = says
    assert browser.get(at_the_issuer(browser)).headers["Location"] == f"/?refused={code}"
    assert browser.get("/v1/me").status_code == 401


def test_what_the_issuer_refuses_is_told(browser: TestClient) -> None:
    address = at_the_issuer(browser)
    state = parse_qs(urlsplit(address).query)["state"][0]
    answer = browser.get(f"/login/oidc/callback?state={state}&error=access_denied")
    assert answer.headers["Location"] == "/?refused=login_invalid"


def test_without_a_client_nobody_is_sent_anywhere(stranger: TestClient) -> None:
    assert stranger.get("/login").json()["oidc"] is False
    assert stranger.get("/login/oidc").status_code == 404
