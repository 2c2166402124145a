"""Every page of the portal, in light, dark and on a phone: no fault in the console, nothing for axe to find, nothing cut off."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.e2e.portal.conftest import Portal, Visit
from tests.e2e.portal.visitor import SIZES, Visitor

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "narrow": {"color_scheme": "light", "viewport": SIZES["narrow"]},
}
# Name, address (with the ids of the portal's fixture), and a text that stands there once everything is loaded.
PAGES = [
    ("jobs", "/jobs", "stripes by dlkd"),
    ("job", "/jobs/{distilled}", "The numbers as a table"),
    ("job-failed", "/jobs/{failed}", "teacher_at_chance"),
    ("job-events", "/jobs/{distilled}?tab=events", "student.onnx"),
    ("job-logs", "/jobs/{distilled}?tab=logs", "log"),
    ("job-attempts", "/jobs/{distilled}?tab=attempts", "From step"),
    ("job-spec", "/jobs/{distilled}?tab=spec", '"learning_rate"'),
    ("new", "/new", "networks: type to search"),
    ("clone", "/new?clone={distilled}", "Compression"),
    ("teachers", "/teachers", "Bring a checkpoint"),
    ("models", "/models", "stripes-by-dlkd"),
    ("model", "/models/{student}", "Negative log-likelihood"),
    ("model-classes", "/models/{student}?tab=classes", "taken for"),
    ("model-files", "/models/{student}?tab=files", "student.safetensors"),
    ("model-card", "/models/{student}?tab=card", "How to use it"),
    ("model-lineage", "/models/{student}?tab=lineage", "taught by"),
    ("compare", "/compare?ids={teacher},{student}", "By class"),
    ("datasets", "/datasets", "stripes"),
    ("dataset", "/datasets/{dataset}", "shown 8 times as large"),
    ("workers", "/workers", "Slots for training"),
    ("usage", "/usage", "Limits of owners"),
    ("webhooks", "/webhooks", "No webhooks yet"),
    ("keys", "/keys", "all of the role"),
    ("audit", "/audit", "model.published"),
]
NAMES = [name for name, _, _ in PAGES]


@pytest.fixture(params=LOOKS)
def look(request: pytest.FixtureRequest, visit: Visit) -> Iterator[tuple[str, Visitor]]:
    with visit(**LOOKS[request.param]) as visitor:
        visitor.sign_in()
        yield request.param, visitor


def test_every_page_is_clean_in_every_look(look: tuple[str, Visitor], portal: Portal) -> None:
    name_of_look, visitor = look
    found: dict[str, list[str]] = {}
    for name, address, text in PAGES:
        visitor.open(address.format(**vars(portal)))
        expect(visitor.page.get_by_text(text).first).to_be_visible()
        found[name] = visitor.axe() + wider_than_the_screen(visitor)
        visitor.picture(f"{name}-{name_of_look}")
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_rows_are_cards_on_a_phone_and_still_a_table_to_who_listens(visit: Visit) -> None:
    with visit(**LOOKS["narrow"]) as visitor:
        visitor.sign_in()
        visitor.open("/models")
        table = visitor.page.get_by_role("region", name="Models").get_by_role("table")
        row = table.get_by_role("row", name="stripes-by-dlkd 1")
        expect(row.get_by_role("cell").nth(2)).to_have_attribute("data-label", "Accuracy")
        expect(table.get_by_role("columnheader", name="Latency")).to_be_attached()
        for cell in row.get_by_role("cell").all():
            box = cell.bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= SIZES["narrow"]["width"]  # nothing to scroll for
        row.get_by_role("checkbox").check()
        expect(visitor.page.get_by_role("link", name="Compare 1")).to_be_visible()


def wider_than_the_screen(visitor: Visitor) -> list[str]:
    """A page scrolls down; sideways only tables within it do."""
    over = visitor.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [f"{over} pixels too wide"] if over > 0 else []


def test_the_sign_in_page_is_clean_and_says_what_is_wrong(visit: Visit) -> None:
    with visit() as visitor:
        visitor.page.goto(visitor.url)
        expect(visitor.page.get_by_label("Key", exact=True)).to_be_visible()
        assert visitor.axe() == []
        visitor.picture("sign-in")
        visitor.expected.add(401)
        visitor.page.get_by_label("Key", exact=True).fill("dlkd_00000000_wrong")
        visitor.page.get_by_role("button", name="Sign in", exact=True).click()
        expect(visitor.page.get_by_role("alert")).to_contain_text("not a key of this service")


def test_a_page_that_is_not_there_leads_back(visit: Visit) -> None:
    with visit() as visitor:
        visitor.sign_in()
        visitor.page.goto(f"{visitor.url}/#/nowhere")
        visitor.page.get_by_role("link", name="To the jobs").click()
        expect(visitor.page.get_by_role("heading", name="Jobs")).to_be_visible()


def test_it_works_by_the_keyboard_alone(visit: Visit) -> None:
    with visit() as visitor:
        page = visitor.page
        page.goto(visitor.url)
        page.get_by_label("Key", exact=True).focus()
        page.keyboard.type(visitor.key)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Jobs")).to_be_focused()  # the page tells that it has changed
        link = page.get_by_role("link", name="stripes by dlkd")
        while not link.evaluate("element => element === document.activeElement"):
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="stripes by dlkd")).to_be_focused()
        page.get_by_role("tab", name="Curves").focus()
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("tab", name="Events")).to_have_attribute("aria-selected", "true")
