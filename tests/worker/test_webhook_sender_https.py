"""Tests for webhook deliveries over HTTPS. The receiver needs a valid certificate."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import trustme

from registry.db.webhook_tables import WebhookDelivery
from registry.settings import Settings
from registry.webhooks import deliveries, subscriptions
from tests.support.http_server import run_http_server
from tests.worker.conftest import WorkerHarness
from worker.webhook_sender import WebhookSender


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    """Return the path of a PEM file with the certificate of the test authority."""
    authority.cert_pem.write_to_path(path := tmp_path / "authority.pem")
    return path


@dataclass
class Receiver:
    """Requests that the receiver got, and the server names from the TLS handshakes."""

    port: int = 0
    hosts: list[str] = field(default_factory=list)
    server_names: list[str | None] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


@contextmanager
def start_receiver(certificate: trustme.LeafCert) -> Iterator[Receiver]:
    receiver, tls = Receiver(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(tls)
    tls.sni_callback = lambda _socket, name, _context: receiver.server_names.append(name)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            receiver.hosts.append(self.headers["Host"])
            self.send_response(204)
            self.end_headers()

    with run_http_server(Handler, tls) as receiver.port:
        yield receiver


def send_webhook(harness: WorkerHarness, url: str, **settings: Any) -> WebhookDelivery:
    """Create a webhook, send one event to it and return the delivery."""
    harness.run(
        subscriptions.create,
        harness.principal,
        url=url,
        events=["job.queued"],
        enabled=True,
        settings=Settings(webhooks_private=True),
    )
    harness.submit()
    assert WebhookSender(harness.create_context(webhooks_private=True, **settings)).send_due() == 1
    return last_delivery(harness)


def last_delivery(harness: WorkerHarness) -> WebhookDelivery:
    with harness.database.read() as session:
        return session.query(WebhookDelivery).one()


def test_the_certificate_is_checked_against_the_host_name(
    harness: WorkerHarness, authority: trustme.CA, ca_file: Path
) -> None:
    with start_receiver(authority.issue_cert("localhost")) as receiver:
        row = send_webhook(
            harness, f"https://localhost:{receiver.port}/hook", webhooks_ca_file=ca_file
        )
        assert (row.status, row.code, row.error) == ("delivered", 204, None)
        assert (receiver.hosts, receiver.server_names) == (
            [f"localhost:{receiver.port}"],
            ["localhost"],
        )
        assert b"job.queued" in receiver.bodies[0]


def test_a_receiver_may_be_addressed_by_ip(
    harness: WorkerHarness, authority: trustme.CA, ca_file: Path
) -> None:
    with start_receiver(authority.issue_cert("127.0.0.1")) as receiver:
        row = send_webhook(harness, f"https://127.0.0.1:{receiver.port}/", webhooks_ca_file=ca_file)
    assert (row.status, row.code) == ("delivered", 204)


@pytest.mark.parametrize("problem", ["unknown authority", "other name", "address instead of name"])
def test_a_receiver_with_an_invalid_certificate_gets_nothing_until_it_is_fixed(
    harness: WorkerHarness, authority: trustme.CA, ca_file: Path, problem: str
) -> None:
    invalid, reason = {
        "unknown authority": (
            trustme.CA().issue_cert("localhost"),
            "unable to get local issuer certificate",
        ),
        "other name": (
            authority.issue_cert("hook.example"),
            "Hostname mismatch, certificate is not valid for 'localhost'",
        ),
        "address instead of name": (authority.issue_cert("127.0.0.1"), "Hostname mismatch"),
    }[problem]
    with start_receiver(invalid) as receiver:
        row = send_webhook(harness, f"https://localhost:{receiver.port}/", webhooks_ca_file=ca_file)
        assert receiver.bodies == []
        assert (row.status, row.code, row.attempts) == ("pending", None, 1)  # will be retried
        assert "certificate verify failed" in (row.error or "")
        assert reason in (row.error or "")
    with start_receiver(authority.issue_cert("localhost")) as fixed:
        url = f"https://localhost:{fixed.port}/"
        harness.run(
            subscriptions.update_webhook,
            row.webhook_id,
            {"url": url},
            actor="key_1",
            settings=Settings(webhooks_private=True),
        )
        harness.run(deliveries.redeliver, row.webhook_id, row.id, actor="key_1")
        context = harness.create_context(webhooks_private=True, webhooks_ca_file=ca_file)
        assert WebhookSender(context).send_due() == 1
        retried = last_delivery(harness)
        assert (retried.id, retried.status) == (row.id, "delivered")
        assert (retried.code, retried.error) == (204, None)
        assert len(fixed.bodies) == 1


def test_a_private_authority_is_trusted_only_if_it_is_configured(
    harness: WorkerHarness, authority: trustme.CA
) -> None:
    with start_receiver(authority.issue_cert("localhost")) as receiver:
        row = send_webhook(harness, f"https://localhost:{receiver.port}/")
        assert receiver.bodies == []
    assert "certificate verify failed" in (row.error or "")


def test_a_receiver_without_tls_gets_nothing(harness: WorkerHarness, ca_file: Path) -> None:
    with run_http_server(BaseHTTPRequestHandler) as port:
        row = send_webhook(harness, f"https://localhost:{port}/", webhooks_ca_file=ca_file)
    assert (row.status, row.code) == ("pending", None)
    assert "SSL" in (row.error or "")


@pytest.mark.parametrize(
    "content", [None, b"", b"-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n"]
)
def test_a_ca_file_without_certificates_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "authority.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match="DLKD_WEBHOOKS_CA_FILE is not a readable PEM file"):
        Settings(webhooks_ca_file=path)
