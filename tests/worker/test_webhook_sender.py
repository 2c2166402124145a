"""Tests for webhook deliveries to a real server: signatures, retries, refused addresses."""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from threading import Event
from typing import Any

import pytest
from sqlalchemy import update
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from registry.db.database import now
from registry.db.webhook_tables import Webhook, WebhookDelivery
from registry.jobs import controls
from registry.settings import Settings
from registry.webhooks import subscriptions
from registry.webhooks.deliveries import redeliver
from tests.support.http_server import run_http_server
from tests.worker.conftest import WorkerHarness, wait_until
from worker import webhook_sender
from worker.dispatcher import Dispatcher
from worker.webhook_sender import WebhookSender


@dataclass
class Receiver:
    """Requests that the receiver got, and the response that it sends."""

    url: str = ""
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    release: Event | None = None  # if given, the response waits for this event


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests.append(
                ({name.lower(): value for name, value in self.headers.items()}, body)
            )
            if receiver.release is not None:
                receiver.release.wait(30)
            self.send_response(receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.end_headers()

    with run_http_server(Handler) as port:
        receiver.url = f"http://localhost:{port}/hook?team=1"
        yield receiver


ALLOW_PRIVATE = {"webhooks_http": True, "webhooks_private": True}


def subscribe(harness: WorkerHarness, url: str, *events: str) -> Webhook:
    settings = Settings(**ALLOW_PRIVATE)
    return harness.run(
        subscriptions.create,
        harness.principal,
        url=url,
        events=list(events or ["job.queued"]),
        enabled=True,
        settings=settings,
    )


def list_deliveries(harness: WorkerHarness) -> list[WebhookDelivery]:
    with harness.database.read() as session:
        return list(session.query(WebhookDelivery).order_by(WebhookDelivery.id))


def make_due(harness: WorkerHarness) -> None:
    with harness.database.write() as session:
        session.execute(update(WebhookDelivery).values(next_at=now(session)))


def test_deliveries_are_recorded_with_the_job_and_sent_with_a_signature(
    harness: WorkerHarness, receiver: Receiver
) -> None:
    hook = subscribe(harness, receiver.url, "job.queued", "job.cancelled", "dataset.ready")
    job = harness.submit()
    harness.run(controls.cancel, job, actor="key_1")
    assert WebhookSender(harness.create_context(**ALLOW_PRIVATE)).send_due() == 3
    sent = {}
    for headers, body in receiver.requests:
        assert Verifier(hook.secret).verify(body, headers) == json.loads(body)
        assert headers["host"] == receiver.url.split("/")[2]
        sent[json.loads(body)["type"]] = json.loads(body)["data"]
        with pytest.raises(WebhookVerificationError):
            Verifier(hook.secret).verify(body + b" ", headers)
    assert set(sent) == {"dataset.ready", "job.queued", "job.cancelled"}
    assert (sent["job.cancelled"]["id"], sent["job.cancelled"]["status"]) == (job, "cancelled")
    assert {(row.status, row.code, row.attempts) for row in list_deliveries(harness)} == {
        ("delivered", 204, 1)
    }
    assert WebhookSender(harness.create_context(**ALLOW_PRIVATE)).send_due() == 0


def test_a_failed_transaction_sends_no_webhook(harness: WorkerHarness, receiver: Receiver) -> None:
    subscribe(harness, receiver.url, "job.cancelled")
    job = harness.submit()

    def cancel_and_fail(session: Any) -> None:
        controls.cancel(session, job, actor="key_1")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        harness.run(cancel_and_fail)
    assert list_deliveries(harness) == []


def test_disabled_webhooks_and_other_owners_get_no_delivery(
    harness: WorkerHarness, receiver: Receiver
) -> None:
    hook = subscribe(harness, receiver.url)
    harness.run(
        subscriptions.update_webhook,
        hook.id,
        {"enabled": False},
        actor="key_1",
        settings=Settings(),
    )
    other = subscribe(harness, receiver.url)
    with harness.database.write() as session:
        session.get_one(Webhook, other.id).owner = "key_other"
    harness.submit()
    assert list_deliveries(harness) == []


def test_a_failed_delivery_is_retried_at_growing_intervals(
    harness: WorkerHarness, receiver: Receiver
) -> None:
    subscribe(harness, receiver.url)
    harness.submit()
    receiver.status = 500
    sender = WebhookSender(harness.create_context(**ALLOW_PRIVATE))
    delays = []
    for _ in range(9):
        assert sender.send_due() == 1
        assert sender.send_due() == 0  # not due yet
        row = list_deliveries(harness)[0]
        with harness.database.read() as session:
            delays.append((row.next_at - now(session)).total_seconds())
        make_due(harness)
    assert delays == sorted(delays)
    assert sender.send_due() == 1
    row = list_deliveries(harness)[0]
    assert (row.status, row.code, row.attempts) == ("failed", 500, 10)
    assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == 1
    receiver.status = 200
    harness.run(redeliver, row.webhook_id, row.id, actor="key_1")
    assert sender.send_due() == 1
    assert list_deliveries(harness)[0].status == "delivered"


def test_status_410_disables_the_webhook(harness: WorkerHarness, receiver: Receiver) -> None:
    hook = subscribe(harness, receiver.url)
    harness.submit()
    receiver.status = 410
    WebhookSender(harness.create_context(**ALLOW_PRIVATE)).send_due()
    with harness.database.read() as session:
        assert not session.get_one(Webhook, hook.id).enabled
    assert list_deliveries(harness)[0].status == "failed"


def test_redirects_are_not_followed(harness: WorkerHarness, receiver: Receiver) -> None:
    subscribe(harness, receiver.url)
    harness.submit()
    receiver.status, receiver.headers = 307, {"Location": receiver.url}
    WebhookSender(harness.create_context(**ALLOW_PRIVATE)).send_due()
    assert (len(receiver.requests), list_deliveries(harness)[0].code) == (1, 307)


def test_a_host_that_resolves_to_a_private_address_is_refused(
    harness: WorkerHarness, receiver: Receiver
) -> None:
    # A host name can resolve to a new address at any time. Each delivery checks the address.
    subscribe(harness, receiver.url.replace("localhost", "hook.example"))
    harness.submit()

    def resolve(*_arguments: Any, **_options: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", resolve)
        WebhookSender(harness.create_context(webhooks_http=True)).send_due()
    assert receiver.requests == []
    assert "127.0.0.1, which is not a public address" in (list_deliveries(harness)[0].error or "")


def test_a_delivery_to_a_slow_receiver_times_out(
    harness: WorkerHarness, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_sender, "_TIMEOUT_SECONDS", 0.5)
    subscribe(harness, receiver.url)
    harness.submit()
    receiver.release = Event()
    assert WebhookSender(harness.create_context(**ALLOW_PRIVATE)).send_due() == 1
    receiver.release.set()
    (delivery,) = list_deliveries(harness)
    assert (delivery.code, delivery.error) == (None, "no response within 0 s")


def test_the_dispatcher_sends_due_deliveries(harness: WorkerHarness, receiver: Receiver) -> None:
    subscribe(harness, receiver.url)
    harness.submit()
    worker_info = {"name": "w", "hostname": "h", "pid": 1, "slots": {"train": 1}, "devices": []}
    dispatcher = Dispatcher(harness.create_context(**ALLOW_PRIVATE), worker_info)
    dispatcher.run_once()
    wait_until(lambda: list_deliveries(harness)[0].status == "delivered")
    assert len(receiver.requests) == 1
