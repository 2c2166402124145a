"""Login with an authorization code and PKCE at a running issuer with real keys."""

from collections.abc import Iterator
from time import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from registry.db.database import Database
from registry.settings import Settings
from registry.storage.object_store import Store
from registry.testing import InMemoryJobQueue
from tests.support.oidc_provider import CLIENT, SECRET, OIDCProvider, run_provider


@pytest.fixture
def provider() -> Iterator[OIDCProvider]:
    with run_provider() as running:
        yield running


@pytest.fixture
def browser(
    settings: Settings, database: Database, store: Store, provider: OIDCProvider
) -> Iterator[TestClient]:
    oidc = {
        "oidc_issuer": provider.url,
        "oidc_audience": "dlkd",
        "oidc_role_claim": "groups",
        "oidc_roles": {"ml": "submitter"},
    }
    client_credentials = {"oidc_client_id": CLIENT, "oidc_client_secret": SECRET}
    oidc_settings = Settings(**settings.model_dump(include={"data"}), **oidc, **client_credentials)
    app = create_app(oidc_settings, database, InMemoryJobQueue(), store)
    with TestClient(app, base_url="http://127.0.0.1:8000", follow_redirects=False) as client:
        yield client


def sign_in_at_issuer(browser: TestClient) -> str:
    """Log in at the issuer and return the URL to which it redirects the browser."""
    redirect = browser.get("/login/oidc")
    assert redirect.status_code == 303
    return httpx.get(redirect.headers["Location"]).headers["Location"]


def test_a_user_who_comes_back_from_the_issuer_is_signed_in(browser: TestClient) -> None:
    assert browser.get("/login").json()["oidc"] is True
    callback = browser.get(sign_in_at_issuer(browser))
    assert (callback.status_code, callback.headers["Location"]) == (303, "/")
    me = browser.get("/v1/me").json()
    assert (me["name"], me["role"]) == ("ada", "submitter")
    token = browser.get("/v1/session").json()["csrf_token"]
    assert browser.delete("/v1/session", headers={"X-CSRF-Token": token}).status_code == 204
    assert browser.get("/v1/me").status_code == 401


def test_a_callback_must_belong_to_the_login_of_this_browser(browser: TestClient) -> None:
    callback_url = sign_in_at_issuer(browser)
    browser.cookies.clear()  # the browser of a victim who opens an attacker's callback URL
    assert browser.get(callback_url).headers["Location"] == "/?refused=login_invalid"
    sign_in_at_issuer(browser)
    assert browser.get(callback_url).headers["Location"] == "/?refused=login_invalid"
    assert browser.get("/v1/me").status_code == 401


def test_a_callback_works_only_once(browser: TestClient) -> None:
    callback_url = sign_in_at_issuer(browser)
    cookies = dict(browser.cookies)
    assert browser.get(callback_url).headers["Location"] == "/"
    for name, value in cookies.items():
        browser.cookies.set(name, value)
    assert browser.get(callback_url).headers["Location"] == "/?refused=login_invalid"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"nonce": "another"}, "token_invalid"),
        ({"aud": "another"}, "token_invalid"),
        ({"exp": int(time()) - 3600}, "token_invalid"),
        ({"groups": ["sales"]}, "role_too_low"),
    ],
)
def test_an_id_token_for_another_login_is_rejected(
    browser: TestClient, provider: OIDCProvider, claims: dict[str, Any], code: str
) -> None:
    provider.extra_claims = claims
    assert browser.get(sign_in_at_issuer(browser)).headers["Location"] == f"/?refused={code}"
    assert browser.get("/v1/me").status_code == 401


def test_a_login_denied_by_the_issuer_is_reported(browser: TestClient) -> None:
    callback_url = sign_in_at_issuer(browser)
    state = parse_qs(urlsplit(callback_url).query)["state"][0]
    response = browser.get(f"/login/oidc/callback?state={state}&error=access_denied")
    assert response.headers["Location"] == "/?refused=login_denied"


def test_an_unavailable_issuer_is_reported_on_the_sign_in_page(
    settings: Settings, database: Database, store: Store
) -> None:
    with run_provider() as stopped:
        issuer_url = stopped.url
    oidc = {"oidc_issuer": issuer_url, "oidc_audience": "dlkd", "oidc_client_id": CLIENT}
    app = create_app(
        Settings(**settings.model_dump(include={"data"}), **oidc),
        database,
        InMemoryJobQueue(),
        store,
    )
    with TestClient(app, base_url="http://127.0.0.1:8000", follow_redirects=False) as client:
        response = client.get("/login/oidc")
    assert (response.status_code, response.headers["Location"]) == (
        303,
        "/?refused=issuer_unavailable",
    )


def test_without_a_client_id_there_is_no_login_through_an_issuer(
    anonymous_client: TestClient,
) -> None:
    assert anonymous_client.get("/login").json()["oidc"] is False
    assert anonymous_client.get("/login/oidc").status_code == 404
