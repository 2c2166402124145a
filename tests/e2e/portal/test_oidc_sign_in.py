"""Sign-in with an organization's account. The browser goes to the issuer's page and back."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from dlkd_client.client import Client
from tests.e2e.conftest import run_service
from tests.e2e.portal.portal_page import PortalPage, open_portal
from tests.support.oidc_provider import CLIENT, SECRET, OIDCProvider, run_provider

OWNER, JOB = "team-vision", "team job"
ROLES = {"ml": "submitter", "board": "viewer"}
OIDC_BUTTON = "Sign in with your organization"


@dataclass(frozen=True)
class Organization:
    """A service that trusts an OIDC issuer and has a job that belongs to a team."""

    client: Client
    issuer: OIDCProvider
    open_page: Callable[[], AbstractContextManager[PortalPage]]


@pytest.fixture(scope="module")
def organization(
    browser: Browser, stripes: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Organization]:
    data = tmp_path_factory.mktemp("organization") / "data"
    with run_provider("localhost", shows_consent=True) as issuer:
        settings = {
            "ISSUER": issuer.url,
            "AUDIENCE": "dlkd",
            "CLIENT_ID": CLIENT,
            "CLIENT_SECRET": SECRET,
        }
        claims = {"OWNER_CLAIM": "team", "ROLE_CLAIM": "groups", "ROLES": json.dumps(ROLES)}
        issuer.extra_claims = {"team": OWNER}
        with run_service(
            data, **{f"DLKD_OIDC_{name}": value for name, value in (settings | claims).items()}
        ) as client:
            key = client.send(
                "POST", "/v1/keys", json={"name": "team", "role": "submitter", "owner": OWNER}
            ).json()["key"]
            with Client(client.url, key) as team:
                dataset = team.upload_dataset(stripes, name="stripes").id
                spec = {
                    "dataset": {"id": dataset},
                    "student": {"architecture": "resnet8"},
                    "training": {"epochs": 1},
                }
                team.submit({**spec, "name": JOB})
            yield Organization(
                client,
                issuer,
                lambda: open_portal(browser, client.url, "", allowed_origins={issuer.url}),
            )


@pytest.fixture
def issuer(organization: Organization) -> Iterator[OIDCProvider]:
    original_claims = dict(organization.issuer.extra_claims)
    yield organization.issuer
    organization.issuer.extra_claims = original_claims


def go_to_issuer(portal_page: PortalPage) -> Page:
    """Click the portal's sign-in button and wait for the issuer's page."""
    portal_page.page.goto(portal_page.url)
    portal_page.page.get_by_role("link", name=OIDC_BUTTON).click()
    expect(portal_page.page.get_by_role("heading", name="Issuer")).to_be_visible()
    return portal_page.page


def test_users_get_their_role_and_see_their_teams_jobs(organization: Organization) -> None:
    with organization.open_page() as portal_page:
        portal_page.page.goto(portal_page.url)
        expect(portal_page.page.get_by_role("link", name=OIDC_BUTTON)).to_be_visible()
        assert portal_page.accessibility_violations() == []
        page = go_to_issuer(portal_page)
        page.get_by_role("button", name="Sign in as ada").click()
        expect(page.get_by_role("link", name=JOB)).to_be_visible()
        account = page.locator(".account")
        expect(account).to_contain_text("ada")
        expect(account).to_contain_text("submitter")
        expect(page.get_by_role("link", name="New job").first).to_be_visible()
        assert page.get_by_role("link", name="API keys").count() == 0
        page.get_by_role("link", name=JOB).click()
        expect(page.get_by_role("heading", name=JOB)).to_be_visible()
        page.reload()  # the browser sends the cookie again
        expect(page.get_by_role("heading", name=JOB)).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("link", name=OIDC_BUTTON)).to_be_visible()
        page.reload()
        expect(page.get_by_role("link", name=OIDC_BUTTON)).to_be_visible()


def test_viewer_group_sees_no_actions(organization: Organization, issuer: OIDCProvider) -> None:
    issuer.extra_claims = {"team": OWNER, "groups": ["board"]}
    with organization.open_page() as portal_page:
        page = go_to_issuer(portal_page)
        page.get_by_role("button", name="Sign in as ada").click()
        expect(page.locator(".account")).to_contain_text("viewer")
        expect(page.get_by_role("link", name=JOB)).to_be_visible()
        assert page.get_by_role("link", name="New job").count() == 0


REFUSED_LOGINS: dict[str, tuple[dict[str, Any], str, str]] = {
    "denied": ({}, "Cancel", "denied the sign-in"),
    "another audience": ({"aud": "another"}, "Sign in as ada", "not valid for this service"),
    "no role": ({"groups": ["sales"]}, "Sign in as ada", "you have no role in this service"),
}


@pytest.mark.parametrize("reason", REFUSED_LOGINS)
def test_refused_login_explains_why_and_can_retry(
    organization: Organization, issuer: OIDCProvider, reason: str
) -> None:
    claims, button, message = REFUSED_LOGINS[reason]
    issuer.extra_claims = {"team": OWNER} | claims
    with organization.open_page() as portal_page:
        page = go_to_issuer(portal_page)
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("alert")).to_contain_text(message)
        assert portal_page.accessibility_violations() == []
        issuer.extra_claims = {"team": OWNER}
        page.get_by_role("link", name=OIDC_BUTTON).click()
        page.get_by_role("button", name="Sign in as ada").click()
        expect(page.locator(".account")).to_contain_text("ada")
