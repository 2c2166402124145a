"""Tests that no page has console errors, axe violations or horizontal overflow.

The pages are shown in light mode, in dark mode, and in a narrow window.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.e2e.portal.conftest import OpenPage, PortalService
from tests.e2e.portal.portal_page import VIEWPORTS, PortalPage

DISPLAY_MODES: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "narrow": {"color_scheme": "light", "viewport": VIEWPORTS["narrow"]},
}
# Each page has a screenshot name, a path with placeholders for fields of PortalService, and a text
# that shows that the page has loaded.
PAGES = [
    ("jobs", "/jobs", "stripes by dlkd"),
    ("job", "/jobs/{distilled_job}", "Show as table"),
    ("job-failed", "/jobs/{failed_job}", "teacher_at_chance"),
    ("job-events", "/jobs/{distilled_job}?tab=events", "student.onnx"),
    ("job-logs", "/jobs/{distilled_job}?tab=logs", "Logs"),
    ("job-attempts", "/jobs/{distilled_job}?tab=attempts", "From step"),
    ("job-spec", "/jobs/{distilled_job}?tab=spec", '"learning_rate"'),
    ("new", "/new", "Type to search"),
    ("clone", "/new?clone={distilled_job}", "Compression"),
    ("teachers", "/teachers", "Upload a checkpoint"),
    ("models", "/models", "stripes-by-dlkd"),
    ("model", "/models/{student_model}", "Negative log-likelihood"),
    ("model-classes", "/models/{student_model}?tab=classes", "predicted as"),
    ("model-files", "/models/{student_model}?tab=files", "student.safetensors"),
    ("model-card", "/models/{student_model}?tab=card", "How to use"),
    ("model-lineage", "/models/{student_model}?tab=lineage", "taught by"),
    ("compare", "/compare?ids={teacher_model},{student_model}", "By class"),
    ("datasets", "/datasets", "stripes"),
    ("dataset", "/datasets/{dataset}", "enlarged 8"),
    ("workers", "/workers", "Training slots"),
    ("usage", "/usage", "Owner limits"),
    ("webhooks", "/webhooks", "No webhooks yet"),
    ("keys", "/keys", "Last used"),
    ("audit", "/audit", "model.published"),
]
PAGE_NAMES = [name for name, _, _ in PAGES]


@pytest.fixture(params=DISPLAY_MODES)
def display_mode(
    request: pytest.FixtureRequest, open_page: OpenPage
) -> Iterator[tuple[str, PortalPage]]:
    with open_page(**DISPLAY_MODES[request.param]) as portal_page:
        portal_page.sign_in()
        yield request.param, portal_page


def test_every_page_is_clean_in_every_display_mode(
    display_mode: tuple[str, PortalPage], portal: PortalService
) -> None:
    mode, portal_page = display_mode
    violations: dict[str, list[str]] = {}
    for name, path, text in PAGES:
        portal_page.open(path.format(**vars(portal)))
        expect(portal_page.page.get_by_text(text).first).to_be_visible()
        violations[name] = portal_page.accessibility_violations()
        violations[name] += horizontal_overflow(portal_page)
        portal_page.take_screenshot(f"{name}-{mode}")
    assert {name: messages for name, messages in violations.items() if messages} == {}


def test_table_rows_are_cards_on_a_phone_and_keep_table_roles(open_page: OpenPage) -> None:
    with open_page(**DISPLAY_MODES["narrow"]) as portal_page:
        portal_page.sign_in()
        portal_page.open("/models")
        table = portal_page.page.get_by_role("region", name="Models").get_by_role("table")
        row = table.get_by_role("row", name="stripes-by-dlkd 1")
        expect(row.get_by_role("cell").nth(2)).to_have_attribute("data-label", "Accuracy")
        expect(table.get_by_role("columnheader", name="Latency")).to_be_attached()
        for cell in row.get_by_role("cell").all():
            box = cell.bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= VIEWPORTS["narrow"]["width"]
        row.get_by_role("checkbox").check()
        expect(portal_page.page.get_by_role("link", name="Compare 1")).to_be_visible()


def horizontal_overflow(portal_page: PortalPage) -> list[str]:
    """Return a message if the page is too wide for the window. Tables may scroll on their own."""
    pixels = portal_page.page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return [f"{pixels} pixels too wide"] if pixels > 0 else []


def test_sign_in_page_is_accessible_and_explains_errors(open_page: OpenPage) -> None:
    with open_page() as portal_page:
        portal_page.page.goto(portal_page.url)
        expect(portal_page.page.get_by_label("API key", exact=True)).to_be_visible()
        assert portal_page.accessibility_violations() == []
        portal_page.take_screenshot("sign-in")
        portal_page.expected_statuses.add(401)
        portal_page.page.get_by_label("API key", exact=True).fill("dlkd_00000000_wrong")
        portal_page.page.get_by_role("button", name="Sign in", exact=True).click()
        expect(portal_page.page.get_by_role("alert")).to_contain_text("not valid for this service")


def test_unknown_page_links_back(open_page: OpenPage) -> None:
    with open_page() as portal_page:
        portal_page.sign_in()
        portal_page.page.goto(f"{portal_page.url}/#/nowhere")
        portal_page.page.get_by_role("link", name="Go to jobs").click()
        expect(portal_page.page.get_by_role("heading", name="Jobs")).to_be_visible()


def test_keyboard_navigation(open_page: OpenPage) -> None:
    with open_page() as portal_page:
        page = portal_page.page
        page.goto(portal_page.url)
        page.get_by_label("API key", exact=True).focus()
        page.keyboard.type(portal_page.key)
        page.keyboard.press("Enter")
        # The heading of a new page gets the focus, so that screen readers announce it.
        expect(page.get_by_role("heading", name="Jobs")).to_be_focused()
        link = page.get_by_role("link", name="stripes by dlkd")
        while not link.evaluate("element => element === document.activeElement"):
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="stripes by dlkd")).to_be_focused()
        page.get_by_role("tab", name="Metrics").focus()
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("tab", name="Events")).to_have_attribute("aria-selected", "true")
