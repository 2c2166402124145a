"""Signing in at an issuer, by authorization code and PKCE: against a real issuer with real keys."""

from collections.abc import Iterator
from time import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from registry.db import Database
from registry.settings import Settings
from registry.store import Store
from registry.testing import MemoryQueue
from tests.provider import CLIENT, SECRET, Provider, providing


@pytest.fixture
def provider() -> Iterator[Provider]:
    with providing() as told:
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
    assert answer.headers["Location"] == "/?refused=login_denied"


def test_an_issuer_that_is_away_is_told_on_the_sign_in_page(settings: Settings, database: Database, store: Store) -> None:
    with providing() as gone:
        away = gone.url
    oidc = {"oidc_issuer": away, "oidc_audience": "dlkd", "oidc_client_id": CLIENT}
    app = create_app(Settings(**settings.model_dump(include={"data"}), **oidc), database, MemoryQueue(), store)
    with TestClient(app, base_url="http://127.0.0.1:8000", follow_redirects=False) as client:
        answer = client.get("/login/oidc")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/?refused=issuer_unavailable")


def test_without_a_client_nobody_is_sent_anywhere(stranger: TestClient) -> None:
    assert stranger.get("/login").json()["oidc"] is False
    assert stranger.get("/login/oidc").status_code == 404
