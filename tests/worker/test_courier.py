"""Webhooks reach a real server: signed, tried again, and nothing inside."""

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

from registry import jobs, webhooks
from registry.access_tables import Delivery, Webhook
from registry.db import now
from registry.settings import Settings
from tests.listening import listening
from worker import courier
from worker.courier import Courier
from worker.kit import Kit

Workshop = Any  # tests/worker/conftest.py


@dataclass
class Receiver:
    """What came, and what is answered."""

    url: str = ""
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    released: Event | None = None  # answers when it is set


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    told = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            if told.released is not None:
                told.released.wait(30)
            self.send_response(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.end_headers()

    with listening(Handler) as port:
        told.url = f"http://localhost:{port}/hook?team=1"
        yield told


OPEN = {"webhooks_http": True, "webhooks_private": True}


def subscribe(shop: Workshop, url: str, *events: str) -> Webhook:
    settings = Settings(**OPEN)
    return shop.do(
        webhooks.create, shop.principal, url=url, events=list(events or ["job.queued"]), enabled=True, settings=settings
    )


def deliveries(shop: Workshop) -> list[Delivery]:
    with shop.database.read() as session:
        return list(session.query(Delivery).order_by(Delivery.id))


def make_due(shop: Workshop) -> None:
    with shop.database.write() as session:
        session.execute(update(Delivery).values(next_at=now(session)))


def test_events_are_written_with_the_job_and_sent_signed(workshop: Workshop, receiver: Receiver) -> None:
    hook = subscribe(workshop, receiver.url, "job.queued", "job.cancelled", "dataset.ready")
    job = workshop.submit()
    workshop.do(jobs.cancel, job, actor="key_1")
    assert Courier(workshop.kit(**OPEN)).round() == 3
    sent = {}
    for headers, body in receiver.got:
        assert Verifier(hook.secret).verify(body, headers) == json.loads(body)
        assert headers["host"] == receiver.url.split("/")[2]
        sent[json.loads(body)["type"]] = json.loads(body)["data"]
        with pytest.raises(WebhookVerificationError):
            Verifier(hook.secret).verify(body + b" ", headers)
    assert set(sent) == {"dataset.ready", "job.queued", "job.cancelled"}
    assert (sent["job.cancelled"]["id"], sent["job.cancelled"]["status"]) == (job, "cancelled")
    assert {(row.status, row.code, row.attempts) for row in deliveries(workshop)} == {("delivered", 204, 1)}
    assert Courier(workshop.kit(**OPEN)).round() == 0


def test_a_transaction_that_fails_tells_nobody(workshop: Workshop, receiver: Receiver) -> None:
    subscribe(workshop, receiver.url, "job.cancelled")
    job = workshop.submit()

    def cancelled(session: Any) -> None:
        jobs.cancel(session, job, actor="key_1")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        workshop.do(cancelled)
    assert deliveries(workshop) == []


def test_others_and_the_disabled_are_told_nothing(workshop: Workshop, receiver: Receiver) -> None:
    hook = subscribe(workshop, receiver.url)
    workshop.do(webhooks.change, hook.id, {"enabled": False}, actor="key_1", settings=Settings())
    other = subscribe(workshop, receiver.url)
    with workshop.database.write() as session:
        session.get_one(Webhook, other.id).owner = "somebody else"
    workshop.submit()
    assert deliveries(workshop) == []


def test_what_is_not_taken_is_sent_again_later_and_less_often(workshop: Workshop, receiver: Receiver) -> None:
    subscribe(workshop, receiver.url)
    workshop.submit()
    receiver.status = 500
    courier_, pauses = Courier(workshop.kit(**OPEN)), []
    for _ in range(9):
        assert courier_.round() == 1
        assert courier_.round() == 0  # not yet
        row = deliveries(workshop)[0]
        with workshop.database.read() as session:
            pauses.append((row.next_at - now(session)).total_seconds())
        make_due(workshop)
    assert pauses == sorted(pauses)
    assert courier_.round() == 1
    row = deliveries(workshop)[0]
    assert (row.status, row.code, row.attempts) == ("failed", 500, 10)
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    receiver.status = 200
    workshop.do(webhooks.redeliver, row.webhook_id, row.id, actor="key_1")
    assert courier_.round() == 1
    assert deliveries(workshop)[0].status == "delivered"


def test_gone_ends_the_webhook(workshop: Workshop, receiver: Receiver) -> None:
    hook = subscribe(workshop, receiver.url)
    workshop.submit()
    receiver.status = 410
    Courier(workshop.kit(**OPEN)).round()
    with workshop.database.read() as session:
        assert not session.get_one(Webhook, hook.id).enabled
    assert deliveries(workshop)[0].status == "failed"


def test_redirects_are_not_followed(workshop: Workshop, receiver: Receiver) -> None:
    subscribe(workshop, receiver.url)
    workshop.submit()
    receiver.status, receiver.headers = 307, {"Location": receiver.url}
    Courier(workshop.kit(**OPEN)).round()
    assert (len(receiver.got), deliveries(workshop)[0].code) == (1, 307)


def test_a_name_that_leads_inside_is_refused_when_it_is_resolved(workshop: Workshop, receiver: Receiver) -> None:
    """At creation it was just a name; what counts is where it leads when something is sent."""
    subscribe(workshop, receiver.url.replace("localhost", "hook.example"))
    workshop.submit()

    def resolve(*_arguments: Any, **_options: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", resolve)
        Courier(workshop.kit(webhooks_http=True)).round()
    assert receiver.got == []
    assert "127.0.0.1, which is not an address of the internet" in (deliveries(workshop)[0].error or "")


def test_a_slow_receiver_is_given_up_and_holds_up_no_other(
    workshop: Workshop, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "_SECONDS", 0.5)
    subscribe(workshop, receiver.url)
    workshop.submit()
    receiver.released = Event()
    assert Courier(workshop.kit(**OPEN)).round() == 1
    receiver.released.set()
    assert (deliveries(workshop)[0].code, deliveries(workshop)[0].error) == (None, "no answer within 0 s")


def test_the_dispatcher_sends_them(workshop: Workshop, receiver: Receiver) -> None:
    from tests.worker.conftest import soon  # noqa: PLC0415
    from worker.dispatcher import Dispatcher  # noqa: PLC0415

    subscribe(workshop, receiver.url)
    workshop.submit()
    kit: Kit = workshop.kit(**OPEN)
    dispatcher = Dispatcher(kit, {"name": "w", "hostname": "h", "pid": 1, "slots": {"train": 1}, "devices": []})
    dispatcher.round()
    soon(lambda: deliveries(workshop)[0].status == "delivered")
    assert len(receiver.got) == 1
