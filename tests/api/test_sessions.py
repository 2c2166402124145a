"""Browsers that sign in: the cookie opens what its key opens, and nothing that another site's page could make of it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.identity import COOKIE
from registry import keys, sign_ins
from registry.access import Principal, Role
from registry.access_tables import SignIn
from registry.db import Database
from registry.tables import AuditEvent

URL = "http://127.0.0.1:8000"


@pytest.fixture
def browser(app: FastAPI) -> Iterator[TestClient]:
    """It keeps cookies and sends no key."""
    with TestClient(app, base_url=URL) as client:
        yield client


def sign_in(browser: TestClient, key: str) -> Any:
    answer = browser.post("/v1/session", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 201
    return answer.json()


def test_the_cookie_opens_what_the_key_opens(browser: TestClient, key: str) -> None:
    assert browser.get("/v1/jobs").status_code == 401
    begun = sign_in(browser, key)
    assert browser.get("/v1/jobs").status_code == 200
    assert browser.get("/v1/me").json() == begun["me"]
    assert browser.get("/v1/session").json() == begun


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(browser: TestClient, key: str, database: Database) -> None:
    answer = browser.post("/v1/session", headers={"Authorization": f"Bearer {key}"})
    words = answer.headers["Set-Cookie"].lower()
    assert "httponly" in words
    assert "samesite=strict" in words
    assert "domain" not in words
    assert "secure" not in words  # over http, as on loopback, a browser would drop it
    token = browser.cookies[COOKIE]
    assert token not in answer.text
    with database.read() as session:
        assert [row.hash for row in session.query(SignIn)] != [token]


def test_over_https_the_cookie_stays_there(app: FastAPI, key: str) -> None:
    with TestClient(app, base_url="https://127.0.0.1:8000") as client:
        answer = client.post("/v1/session", headers={"Authorization": f"Bearer {key}"})
    assert "secure" in answer.headers["Set-Cookie"].lower()


@pytest.mark.parametrize("headers", [{}, {"X-CSRF-Token": "0" * 64}, {"X-CSRF-Token": "\xff"}])
@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/jobs"), ("DELETE", "/v1/session"), ("PATCH", "/v1/jobs/job_1")])
def test_changes_need_the_token_of_the_page(
    browser: TestClient, key: str, headers: dict[str, str], method: str, path: str
) -> None:
    sign_in(browser, key)
    sent = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = browser.request(method, path, headers=sent)  # type: ignore[arg-type] # bytes go as they are
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf_invalid")


def test_with_the_token_of_the_page_changes_are_made(browser: TestClient, key: str) -> None:
    token = sign_in(browser, key)["csrf_token"]
    answer = browser.post("/v1/keys", json={"name": "another"}, headers={"X-CSRF-Token": token})
    assert answer.status_code == 201


def test_one_who_signs_out_is_out_wherever_the_cookie_was_copied_to(browser: TestClient, app: FastAPI, key: str) -> None:
    token = sign_in(browser, key)["csrf_token"]
    copied = {COOKIE: browser.cookies[COOKIE]}
    assert browser.delete("/v1/session", headers={"X-CSRF-Token": token}).status_code == 204
    assert COOKIE not in browser.cookies
    with TestClient(app, base_url=URL, cookies=copied) as thief:
        answer = thief.get("/v1/jobs")
    assert (answer.status_code, answer.json()["code"]) == (401, "session_ended")


@pytest.mark.parametrize("end", ["revoke", "rotate", "expire"])
def test_the_session_ends_with_its_key(browser: TestClient, database: Database, end: str) -> None:
    with database.write() as session:
        keys.create(session, name="the last admin")
        row, key = keys.create(session, name="hers", role=Role.VIEWER)
        key_id = row.id
    sign_in(browser, key)
    with database.write() as session:
        if end == "expire":
            keys.get(session, key_id).expires_at = datetime.now(UTC) - timedelta(minutes=1)
        elif end == "revoke":
            keys.revoke(session, key_id, actor="key_0")
        else:
            keys.rotate(session, key_id, actor="key_0", grace=timedelta(days=1))
    assert browser.get("/v1/jobs").status_code == 401
    assert browser.get("/login").json()["signed_in"] is False


def test_a_session_is_not_longer_than_its_key(browser: TestClient, database: Database) -> None:
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=5)
    with database.write() as session:
        _, key = keys.create(session, name="short", role=Role.VIEWER, expires_at=ends)
    assert datetime.fromisoformat(sign_in(browser, key)["expires_at"]) == ends


def test_a_session_ends_by_itself(browser: TestClient, database: Database, key: str) -> None:
    sign_in(browser, key)
    with database.write() as session:
        session.query(SignIn).update({"expires_at": datetime.now(UTC) - timedelta(seconds=1)})
    assert browser.get("/v1/jobs").json()["code"] == "session_ended"
    sign_in(browser, key)
    with database.read() as session:
        assert session.query(SignIn).count() == 1  # the old one is forgotten


def test_a_session_does_not_begin_another(browser: TestClient, key: str) -> None:
    token = sign_in(browser, key)["csrf_token"]
    answer = browser.post("/v1/session", headers={"X-CSRF-Token": token})
    assert (answer.status_code, answer.json()["code"]) == (401, "key_invalid")


def test_a_key_beside_the_cookie_goes_before_it(browser: TestClient, database: Database, key: str) -> None:
    sign_in(browser, key)
    with database.write() as session:
        _, other = keys.create(session, name="other", role=Role.VIEWER)
    assert browser.get("/v1/me", headers={"Authorization": f"Bearer {other}"}).json()["name"] == "other"
    assert browser.get("/v1/me", headers={"Authorization": "Bearer dlkd_00000000_wrong"}).status_code == 401


def test_roles_and_scopes_are_those_of_the_key(browser: TestClient, database: Database) -> None:
    with database.write() as session:
        _, key = keys.create(session, name="narrow", role=Role.SUBMITTER, scopes=("jobs:read",))
    token = sign_in(browser, key)["csrf_token"]
    assert browser.get("/v1/models").json()["code"] == "scope_missing"
    assert browser.post("/v1/keys", json={"name": "x"}, headers={"X-CSRF-Token": token}).json()["code"] == "role_too_low"


def test_somebody_whom_the_issuer_vouches_for_stays_signed_in(browser: TestClient, database: Database) -> None:
    person = Principal("oidc_1", "Ada", Role.SUBMITTER, "vision")
    with database.write() as session:
        token, _ = sign_ins.begin(session, person, lasts=timedelta(hours=1))
    browser.cookies.set(COOKIE, token)
    me = browser.get("/v1/me").json()
    assert (me["name"], me["role"], me["owner"]) == ("Ada", "submitter", "vision")


def test_signing_in_and_out_is_in_the_audit_log(browser: TestClient, key: str, database: Database) -> None:
    token = sign_in(browser, key)["csrf_token"]
    browser.delete("/v1/session", headers={"X-CSRF-Token": token})
    with database.read() as session:
        actions = [row.action for row in session.query(AuditEvent).order_by(AuditEvent.id)]
    assert actions[-2:] == ["session.began", "session.ended"]
