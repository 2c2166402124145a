"""Service pages of the portal: workers, usage and limits, webhooks, API keys and audit log."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from registry.db.database import Database
from registry.workers import membership
from tests.e2e.portal.conftest import OpenPage, PortalService

_GIBIBYTE = 2**30
GPU = {
    "kind": "cuda",
    "index": 0,
    "name": "NVIDIA H100",
    "busy": 0.5,
    "used_bytes": 20 * _GIBIBYTE,
    "memory_bytes": 80 * _GIBIBYTE,
}
WORKER_FACTS = {
    "hostname": "rack",
    "pid": 7,
    "version": "1",
    "slots": {"train": 1},
    "queues": ["train-cuda"],
    "devices": [GPU],
}


@pytest.fixture
def gpu_worker(portal: PortalService) -> Iterator[str]:
    """Register a GPU worker in the database and yield its id."""
    database = Database(portal.database_url)
    with database.write() as session:
        membership.register(session, "worker_gpu", {"name": "gpu-worker", **WORKER_FACTS})
    yield "worker_gpu"
    with database.write() as session:
        membership.unregister(session, "worker_gpu")
    database.engine.dispose()


def test_worker_is_shown_and_drained(
    open_page: OpenPage, gpu_worker: str, portal: PortalService
) -> None:
    with open_page() as portal_page:
        page = portal_page.page
        portal_page.sign_in()
        portal_page.open("/workers")
        worker = page.get_by_role("region", name="Worker gpu-worker")
        expect(worker.get_by_role("progressbar", name="Memory of GPU 0")).to_have_attribute(
            "aria-valuenow", "25"
        )
        expect(worker.get_by_role("progressbar", name="Load of GPU 0")).to_have_attribute(
            "aria-valuenow", "50"
        )
        queue = page.get_by_role("region", name="Queues").get_by_role("row", name="train-cuda")
        expect(queue.get_by_role("cell").nth(4)).to_have_text("1")
        portal_page.take_screenshot("workers-gpu")
        worker.get_by_role("button", name="Drain").click()
        assert portal_page.accessibility_violations() == []
        page.get_by_role("button", name="Drain worker").click()
        expect(worker.get_by_text("draining", exact=True)).to_be_visible()
        expect(queue.get_by_role("cell").nth(4)).to_have_text("0")
        database = Database(portal.database_url)
        with database.read() as session:
            assert membership.get_drain_mode(session, gpu_worker) == "finish"
        database.engine.dispose()
        worker.get_by_role("button", name="Accept jobs again").click()
        expect(worker.get_by_role("button", name="Drain")).to_be_visible()


def test_key_is_created_used_rotated_and_revoked(open_page: OpenPage) -> None:
    with open_page() as portal_page, open_page() as guest:
        page = portal_page.page
        portal_page.sign_in()
        portal_page.open("/keys")
        page.get_by_role("button", name="New API key").click()
        page.get_by_label("Name", exact=True).fill("guest key")
        page.get_by_label("Role").select_option("viewer")
        for scope in ("models:read", "jobs:read"):
            page.get_by_label(scope).check()
        assert portal_page.accessibility_violations() == []
        portal_page.take_screenshot("key-new")
        page.get_by_role("button", name="Create key").click()
        secret = page.get_by_role("dialog").locator("pre").inner_text()
        page.get_by_role("button", name="Done").click()
        row = page.get_by_role("row", name="guest key")
        expect(row).to_contain_text("models:read")
        assert secret not in page.content()

        guest.sign_in(secret)
        guest.open("/models")
        expect(guest.page.get_by_text("No models yet")).to_be_visible()
        expect(guest.page.get_by_role("link", name="API keys")).to_have_count(0)

        page.get_by_label("Rotate guest key").click()
        page.get_by_label("Current secret expires").select_option("0")
        page.get_by_role("button", name="Rotate", exact=True).click()
        expect(page.get_by_role("dialog").locator("pre")).not_to_have_text(secret)
        page.get_by_role("button", name="Done").click()
        page.get_by_label("Revoke guest key").click()
        page.get_by_role("button", name="Revoke", exact=True).click()
        expect(row).to_contain_text("revoked")

        guest.expected_statuses.add(401)
        guest.page.get_by_role("link", name="Compare").first.click()
        expect(guest.page.get_by_label("API key", exact=True)).to_be_visible()  # the sign-in page

        portal_page.open("/audit")
        page.get_by_label("Action").fill("key.revoked")
        expect(page.get_by_role("row")).to_have_count(2)  # the header row and one entry
        page.get_by_label("Action").fill("nothing.done")
        expect(page.get_by_text("No matching entries")).to_be_visible()


def test_last_admin_key_cannot_be_revoked(open_page: OpenPage) -> None:
    with open_page() as portal_page:
        page = portal_page.page
        portal_page.sign_in()
        portal_page.open("/keys")
        portal_page.expected_statuses.add(409)
        page.get_by_label("Revoke dlkd up").click()
        page.get_by_role("button", name="Revoke", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text(
            "Create another API key with the admin role first"
        )


def test_webhook_is_created_disabled_and_deleted(open_page: OpenPage) -> None:
    with open_page() as portal_page:
        page = portal_page.page
        portal_page.sign_in()
        portal_page.open("/webhooks")
        page.get_by_role("button", name="New webhook").first.click()
        portal_page.expected_statuses.add(422)
        page.get_by_label("URL").fill("ftp://example.com/")
        page.get_by_role("button", name="Create webhook").click()
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("URL").fill("https://example.com/hook")
        page.get_by_role("button", name="Create webhook").click()
        expect(page.get_by_role("dialog").locator("pre")).to_contain_text("whsec_")
        page.get_by_role("button", name="Done").click()
        page.get_by_role("link", name="https://example.com/hook").click()
        expect(page.get_by_text("No deliveries yet")).to_be_visible()
        assert portal_page.accessibility_violations() == []
        page.get_by_role("button", name="Disable").click()
        expect(page.get_by_role("button", name="Enable")).to_be_visible()
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(page.get_by_text("No webhooks yet")).to_be_visible()


def test_owner_quota_is_set(open_page: OpenPage) -> None:
    with open_page() as portal_page:
        page = portal_page.page
        portal_page.sign_in()
        portal_page.open("/usage")
        page.get_by_label("Owner").fill("team-vision")
        page.get_by_role("button", name="Look up").click()
        page.get_by_role("spinbutton", name="Running jobs").fill("2")
        assert portal_page.accessibility_violations() == []
        page.get_by_role("button", name="Save limits").click()
        expect(page.get_by_role("row", name="team-vision")).to_contain_text("of 2")


def test_missing_resource_shows_not_found(open_page: OpenPage) -> None:
    with open_page() as portal_page:
        page = portal_page.page
        portal_page.sign_in()
        portal_page.expected_statuses.add(404)
        for path in ("/models/model_0", "/datasets/dataset_0", "/webhooks/webhook_0"):
            page.goto(f"{portal_page.url}/#{path}")
            expect(page.get_by_role("alert").first).to_contain_text("not_found")
            expect(page.get_by_role("button", name="Try again").first).to_be_visible()


def test_hash_change_during_startup_is_handled(open_page: OpenPage) -> None:
    script = """new MutationObserver((_, observer) => {
      if (!document.querySelector(".layout")) return;
      observer.disconnect();
      location.hash = "#/usage";
    }).observe(document, { childList: true, subtree: true })"""
    with open_page() as portal_page:
        page = portal_page.page
        page.add_init_script(script)
        portal_page.sign_in()
        expect(page.get_by_role("heading", name="Usage", exact=True)).to_be_visible()
