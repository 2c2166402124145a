"""Browser sessions. They have the permissions of an API key, and other sites cannot use them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.auth.credentials import SESSION_COOKIE
from registry.access import api_keys, browser_sessions
from registry.access.permissions import Principal, Role
from registry.db.access_tables import AuditEvent, BrowserSession
from registry.db.database import Database

URL = "http://127.0.0.1:8000"


@pytest.fixture
def browser(app: FastAPI) -> Iterator[TestClient]:
    """Return a client that stores cookies and sends no API key."""
    with TestClient(app, base_url=URL) as client:
        yield client


def sign_in(browser: TestClient, key: str) -> Any:
    response = browser.post("/v1/session", headers={"Authorization": f"Bearer {key}"})
    assert response.status_code == 201
    return response.json()


def test_the_cookie_grants_what_the_key_grants(browser: TestClient, key: str) -> None:
    assert browser.get("/v1/jobs").status_code == 401
    session = sign_in(browser, key)
    assert browser.get("/v1/jobs").status_code == 200
    assert browser.get("/v1/me").json() == session["me"]
    assert browser.get("/v1/session").json() == session


def test_scripts_and_other_sites_cannot_use_the_cookie(
    browser: TestClient, key: str, database: Database
) -> None:
    response = browser.post("/v1/session", headers={"Authorization": f"Bearer {key}"})
    cookie = response.headers["Set-Cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "domain" not in cookie
    assert "secure" not in cookie  # browsers reject secure cookies over plain HTTP
    token = browser.cookies[SESSION_COOKIE]
    assert token not in response.text
    with database.read() as session:
        assert [row.hash for row in session.query(BrowserSession)] != [token]


def test_the_cookie_of_an_https_session_is_secure(app: FastAPI, key: str) -> None:
    with TestClient(app, base_url="https://127.0.0.1:8000") as client:
        response = client.post("/v1/session", headers={"Authorization": f"Bearer {key}"})
    assert "secure" in response.headers["Set-Cookie"].lower()


@pytest.mark.parametrize("headers", [{}, {"X-CSRF-Token": "0" * 64}, {"X-CSRF-Token": "\xff"}])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/jobs"), ("DELETE", "/v1/session"), ("PATCH", "/v1/jobs/job_1")],
)
def test_changes_need_the_csrf_token(
    browser: TestClient, key: str, headers: dict[str, str], method: str, path: str
) -> None:
    sign_in(browser, key)
    encoded_headers = {name: value.encode("latin-1") for name, value in headers.items()}
    response = browser.request(method, path, headers=encoded_headers)  # type: ignore[arg-type] # bytes are sent unchanged
    assert (response.status_code, response.json()["code"]) == (403, "csrf_invalid")


def test_changes_are_accepted_with_the_csrf_token(browser: TestClient, key: str) -> None:
    token = sign_in(browser, key)["csrf_token"]
    response = browser.post("/v1/keys", json={"name": "another"}, headers={"X-CSRF-Token": token})
    assert response.status_code == 201


def test_copies_of_the_cookie_stop_working_after_sign_out(
    browser: TestClient, app: FastAPI, key: str
) -> None:
    token = sign_in(browser, key)["csrf_token"]
    stolen_cookies = {SESSION_COOKIE: browser.cookies[SESSION_COOKIE]}
    assert browser.delete("/v1/session", headers={"X-CSRF-Token": token}).status_code == 204
    assert SESSION_COOKIE not in browser.cookies
    with TestClient(app, base_url=URL, cookies=stolen_cookies) as other_browser:
        response = other_browser.get("/v1/jobs")
    assert (response.status_code, response.json()["code"]) == (401, "session_ended")


@pytest.mark.parametrize("ending", ["revoke", "rotate", "expire"])
def test_the_session_ends_with_its_key(
    browser: TestClient, database: Database, ending: str
) -> None:
    with database.write() as session:
        api_keys.create(session, name="admin")
        row, key = api_keys.create(session, name="viewer", role=Role.VIEWER)
        key_id = row.id
    sign_in(browser, key)
    with database.write() as session:
        if ending == "expire":
            api_keys.get(session, key_id).expires_at = datetime.now(UTC) - timedelta(minutes=1)
        elif ending == "revoke":
            api_keys.revoke(session, key_id, actor="key_0")
        else:
            api_keys.rotate(session, key_id, actor="key_0", grace=timedelta(days=1))
    assert browser.get("/v1/jobs").status_code == 401
    assert browser.get("/login").json()["signed_in"] is False


def test_a_session_does_not_outlive_its_key(browser: TestClient, database: Database) -> None:
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=5)
    with database.write() as session:
        _, key = api_keys.create(session, name="short", role=Role.VIEWER, expires_at=expires_at)
    assert datetime.fromisoformat(sign_in(browser, key)["expires_at"]) == expires_at


def test_a_session_expires(browser: TestClient, database: Database, key: str) -> None:
    sign_in(browser, key)
    with database.write() as session:
        session.query(BrowserSession).update(
            {"expires_at": datetime.now(UTC) - timedelta(seconds=1)}
        )
    assert browser.get("/v1/jobs").json()["code"] == "session_ended"
    sign_in(browser, key)
    with database.read() as session:
        assert session.query(BrowserSession).count() == 1  # the expired session has been deleted


def test_a_session_cannot_start_another(browser: TestClient, key: str) -> None:
    token = sign_in(browser, key)["csrf_token"]
    response = browser.post("/v1/session", headers={"X-CSRF-Token": token})
    assert (response.status_code, response.json()["code"]) == (401, "key_invalid")


def test_a_key_takes_precedence_over_the_cookie(
    browser: TestClient, database: Database, key: str
) -> None:
    sign_in(browser, key)
    with database.write() as session:
        _, other = api_keys.create(session, name="other", role=Role.VIEWER)
    assert (
        browser.get("/v1/me", headers={"Authorization": f"Bearer {other}"}).json()["name"]
        == "other"
    )
    assert (
        browser.get("/v1/me", headers={"Authorization": "Bearer dlkd_00000000_wrong"}).status_code
        == 401
    )


def test_roles_and_scopes_are_those_of_the_key(browser: TestClient, database: Database) -> None:
    with database.write() as session:
        _, key = api_keys.create(session, name="narrow", role=Role.SUBMITTER, scopes=("jobs:read",))
    token = sign_in(browser, key)["csrf_token"]
    assert browser.get("/v1/models").json()["code"] == "scope_missing"
    assert (
        browser.post("/v1/keys", json={"name": "x"}, headers={"X-CSRF-Token": token}).json()["code"]
        == "role_too_low"
    )


def test_a_user_of_the_issuer_stays_signed_in(browser: TestClient, database: Database) -> None:
    person = Principal("oidc_1", "Ada", Role.SUBMITTER, "vision")
    with database.write() as session:
        token, _ = browser_sessions.create_session(session, person, lifetime=timedelta(hours=1))
    browser.cookies.set(SESSION_COOKIE, token)
    me = browser.get("/v1/me").json()
    assert (me["name"], me["role"], me["owner"]) == ("Ada", "submitter", "vision")


def test_sign_in_and_sign_out_are_in_the_audit_log(
    browser: TestClient, key: str, database: Database
) -> None:
    token = sign_in(browser, key)["csrf_token"]
    browser.delete("/v1/session", headers={"X-CSRF-Token": token})
    with database.read() as session:
        actions = [row.action for row in session.query(AuditEvent).order_by(AuditEvent.id)]
    assert actions[-2:] == ["session.began", "session.ended"]
