"""Signing in with an organisation's account: from the portal to the issuer's page, another site, and back."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from dlkd_client.client import Client
from tests.e2e.conftest import service
from tests.e2e.portal.visitor import Visitor, visiting
from tests.provider import CLIENT, SECRET, Provider, providing

OWNER, JOB = "team-vision", "of the team"
ROLES = {"ml": "submitter", "board": "viewer"}
BUTTON = "Sign in with your organisation"


@dataclass(frozen=True)
class Organisation:
    """A service that trusts an issuer, with a job of a team's."""

    client: Client
    issuer: Provider
    enter: Callable[[], AbstractContextManager[Visitor]]


@pytest.fixture(scope="module")
def organisation(browser: Browser, stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organisation]:
    data = tmp_path_factory.mktemp("organisation") / "data"
    with providing("localhost", asks=True) as issuer:
        settings = {"ISSUER": issuer.url, "AUDIENCE": "dlkd", "CLIENT_ID": CLIENT, "CLIENT_SECRET": SECRET}
        claims = {"OWNER_CLAIM": "team", "ROLE_CLAIM": "groups", "ROLES": json.dumps(ROLES)}
        issuer.says = {"team": OWNER}
        with service(data, **{f"DLKD_OIDC_{name}": value for name, value in (settings | claims).items()}) as client:
            key = client.send("POST", "/v1/keys", json={"name": "team", "role": "submitter", "owner": OWNER}).json()["key"]
            with Client(client.url, key) as team:
                dataset = team.upload_dataset(stripes, name="stripes").id
                brief = {"dataset": {"id": dataset}, "student": {"architecture": "resnet8"}, "training": {"epochs": 1}}
                team.submit({**brief, "name": JOB})
            yield Organisation(client, issuer, lambda: visiting(browser, client.url, "", friends={issuer.url}))


@pytest.fixture
def issuer(organisation: Organisation) -> Iterator[Provider]:
    before = dict(organisation.issuer.says)
    yield organisation.issuer
    organisation.issuer.says = before


def to_issuer(visitor: Visitor) -> Page:
    """The issuer's page, reached by the portal's button."""
    visitor.page.goto(visitor.url)
    visitor.page.get_by_role("link", name=BUTTON).click()
    expect(visitor.page.get_by_role("heading", name="Issuer")).to_be_visible()
    return visitor.page


def test_people_come_in_with_their_role_and_see_their_teams_jobs(organisation: Organisation) -> None:
    with organisation.enter() as visitor:
        visitor.page.goto(visitor.url)
        expect(visitor.page.get_by_role("link", name=BUTTON)).to_be_visible()
        assert visitor.axe() == []
        page = to_issuer(visitor)
        page.get_by_role("button", name="Sign in as ada").click()
        expect(page.get_by_role("link", name=JOB)).to_be_visible()
        who = page.locator(".who")
        expect(who).to_contain_text("ada")
        expect(who).to_contain_text("submitter")
        expect(page.get_by_role("link", name="New job").first).to_be_visible()
        assert page.get_by_role("link", name="Keys").count() == 0
        page.get_by_role("link", name=JOB).click()
        expect(page.get_by_role("heading", name=JOB)).to_be_visible()
        page.reload()  # the cookie is this site's again
        expect(page.get_by_role("heading", name=JOB)).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("link", name=BUTTON)).to_be_visible()
        page.reload()
        expect(page.get_by_role("link", name=BUTTON)).to_be_visible()


def test_whoever_only_looks_by_their_group_is_offered_nothing(organisation: Organisation, issuer: Provider) -> None:
    issuer.says = {"team": OWNER, "groups": ["board"]}
    with organisation.enter() as visitor:
        page = to_issuer(visitor)
        page.get_by_role("button", name="Sign in as ada").click()
        expect(page.locator(".who")).to_contain_text("viewer")
        expect(page.get_by_role("link", name=JOB)).to_be_visible()
        assert page.get_by_role("link", name="New job").count() == 0


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "said no": ({}, "Cancel", "did not sign you in"),
    "another audience": ({"aud": "another"}, "Sign in as ada", "not meant for this service"),
    "no role": ({"groups": ["sales"]}, "Sign in as ada", "gives you no role here"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_who_is_refused_reads_why_and_can_begin_again(organisation: Organisation, issuer: Provider, what: str) -> None:
    says, button, words = REFUSED[what]
    issuer.says = {"team": OWNER} | says
    with organisation.enter() as visitor:
        page = to_issuer(visitor)
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("alert")).to_contain_text(words)
        assert visitor.axe() == []
        issuer.says = {"team": OWNER}
        page.get_by_role("link", name=BUTTON).click()
        page.get_by_role("button", name="Sign in as ada").click()
        expect(page.locator(".who")).to_contain_text("ada")
