"""The pages about the service itself: workers, keys, audit, webhooks, limits; and what those see who have nothing yet."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from registry import workers
from registry.db import Database
from tests.e2e.portal.conftest import Portal, Visit

_GIBIBYTE = 2**30
GPU = {
    "kind": "cuda",
    "index": 0,
    "name": "NVIDIA H100",
    "busy": 0.5,
    "used_bytes": 20 * _GIBIBYTE,
    "memory_bytes": 80 * _GIBIBYTE,
}
FACTS = {"hostname": "rack", "pid": 7, "version": "1", "slots": {"train": 1}, "queues": ["train-cuda"], "devices": [GPU]}


@pytest.fixture
def gpu_worker(portal: Portal) -> Iterator[str]:
    """A machine with a GPU, as far as the service knows: its row, as such a worker writes it."""
    database = Database(portal.database)
    with database.write() as session:
        workers.announce(session, "worker_gpu", {"name": "the big one", **FACTS})
    yield "worker_gpu"
    with database.write() as session:
        workers.leave(session, "worker_gpu")
    database.engine.dispose()


def test_a_worker_is_looked_at_and_drained(visit: Visit, gpu_worker: str, portal: Portal) -> None:
    with visit() as visitor:
        page = visitor.page
        visitor.sign_in()
        visitor.open("/workers")
        worker = page.get_by_role("region", name="Worker the big one")
        expect(worker.get_by_role("progressbar", name="Memory of GPU 0")).to_have_attribute("aria-valuenow", "25")
        expect(worker.get_by_role("progressbar", name="Load of GPU 0")).to_have_attribute("aria-valuenow", "50")
        queue = page.get_by_role("region", name="Queues").get_by_role("row", name="train-cuda")
        expect(queue.get_by_role("cell").nth(4)).to_have_text("1")
        visitor.picture("workers-gpu")
        worker.get_by_role("button", name="Drain").click()
        assert visitor.axe() == []
        page.get_by_role("button", name="Drain it").click()
        expect(worker.get_by_text("draining", exact=True)).to_be_visible()
        expect(queue.get_by_role("cell").nth(4)).to_have_text("0")
        database = Database(portal.database)
        with database.read() as session:
            assert workers.draining(session, gpu_worker) == "finish"
        database.engine.dispose()
        worker.get_by_role("button", name="Take jobs again").click()
        expect(worker.get_by_role("button", name="Drain")).to_be_visible()


def test_a_key_is_made_used_rotated_and_revoked(visit: Visit) -> None:
    with visit() as visitor, visit() as guest:
        page = visitor.page
        visitor.sign_in()
        visitor.open("/keys")
        page.get_by_role("button", name="New key").click()
        page.get_by_label("Name", exact=True).fill("a guest")
        page.get_by_label("Role").select_option("viewer")
        for scope in ("models:read", "jobs:read"):
            page.get_by_label(scope).check()
        assert visitor.axe() == []
        visitor.picture("key-new")
        page.get_by_role("button", name="Make the key").click()
        secret = page.get_by_role("dialog").locator("pre").inner_text()
        page.get_by_role("button", name="I have it").click()
        row = page.get_by_role("row", name="a guest")
        expect(row).to_contain_text("models:read")
        assert secret not in page.content()

        guest.sign_in(secret)
        guest.open("/models")
        expect(guest.page.get_by_text("No models yet")).to_be_visible()
        expect(guest.page.get_by_role("link", name="Keys")).to_have_count(0)

        page.get_by_label("Rotate a guest").click()
        page.get_by_label("The secret of now ends").select_option("0")
        page.get_by_role("button", name="Rotate", exact=True).click()
        expect(page.get_by_role("dialog").locator("pre")).not_to_have_text(secret)
        page.get_by_role("button", name="I have it").click()
        page.get_by_label("Revoke a guest").click()
        page.get_by_role("button", name="Revoke", exact=True).click()
        expect(row).to_contain_text("revoked")

        guest.expected.add(401)
        guest.page.get_by_role("link", name="Compare").first.click()
        expect(guest.page.get_by_label("Key", exact=True)).to_be_visible()  # signed out, and asked to sign in

        visitor.open("/audit")
        page.get_by_label("Action").fill("key.revoked")
        expect(page.get_by_role("row")).to_have_count(2)  # the head, and this one
        page.get_by_label("Action").fill("nothing.done")
        expect(page.get_by_text("No entry fits these filters")).to_be_visible()


def test_the_only_admins_key_stays_and_the_page_says_why(visit: Visit) -> None:
    with visit() as visitor:
        page = visitor.page
        visitor.sign_in()
        visitor.open("/keys")
        visitor.expected.add(409)
        page.get_by_label("Revoke dlkd up").click()
        page.get_by_role("button", name="Revoke", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("Make another admin's key first")


def test_a_webhook_is_made_turned_off_and_deleted(visit: Visit) -> None:
    with visit() as visitor:
        page = visitor.page
        visitor.sign_in()
        visitor.open("/webhooks")
        page.get_by_role("button", name="New webhook").first.click()
        visitor.expected.add(422)
        page.get_by_label("Address").fill("ftp://example.com/")
        page.get_by_role("button", name="Make the webhook").click()
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("Address").fill("https://example.com/hook")
        page.get_by_role("button", name="Make the webhook").click()
        expect(page.get_by_role("dialog").locator("pre")).to_contain_text("whsec_")
        page.get_by_role("button", name="I have it").click()
        page.get_by_role("link", name="https://example.com/hook").click()
        expect(page.get_by_text("Nothing was sent yet")).to_be_visible()
        assert visitor.axe() == []
        page.get_by_role("button", name="Turn off").click()
        expect(page.get_by_role("button", name="Turn on")).to_be_visible()
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(page.get_by_text("No webhooks yet")).to_be_visible()


def test_an_owner_is_given_limits(visit: Visit) -> None:
    with visit() as visitor:
        page = visitor.page
        visitor.sign_in()
        visitor.open("/usage")
        page.get_by_label("Owner").fill("team-vision")
        page.get_by_role("button", name="Look up").click()
        page.get_by_label("Running jobs, in jobs").fill("2")
        assert visitor.axe() == []
        page.get_by_role("button", name="Set the limits").click()
        expect(page.get_by_role("row", name="team-vision")).to_contain_text("of 2")


def test_what_is_not_there_says_so(visit: Visit) -> None:
    with visit() as visitor:
        page = visitor.page
        visitor.sign_in()
        visitor.expected.add(404)
        for address in ("/models/model_0", "/datasets/dataset_0", "/webhooks/webhook_0"):
            page.goto(f"{visitor.url}/#{address}")
            expect(page.get_by_role("alert").first).to_contain_text("not_found")
            expect(page.get_by_role("button", name="Try again").first).to_be_visible()


def test_an_address_that_changes_while_the_page_begins_is_heard(visit: Visit) -> None:
    leave = "document.querySelector('.frame') && (watch.disconnect(), (location.hash = '#/usage'))"
    with visit() as visitor:
        page = visitor.page
        page.add_init_script(
            f"new MutationObserver((_, watch) => {leave}).observe(document, {{ childList: true, subtree: true }})"
        )
        visitor.sign_in()
        expect(page.get_by_role("heading", name="Usage")).to_be_visible()
