"""Webhooks to receivers that speak HTTPS: whose certificate is good is told, and nobody else."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import trustme

from registry import webhooks
from registry.access_tables import Delivery
from registry.settings import Settings
from tests.listening import listening
from worker.courier import Courier

Workshop = Any  # tests/worker/conftest.py


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path) -> Path:
    """The authority's certificate in a file."""
    authority.cert_pem.write_to_path(path := tmp_path / "authority.pem")
    return path


@dataclass
class Receiver:
    """What came, and the name that the handshake asked for."""

    port: int = 0
    hosts: list[str] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


@contextmanager
def receiving(certificate: trustme.LeafCert) -> Iterator[Receiver]:
    told, tls = Receiver(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(tls)
    tls.sni_callback = lambda _socket, name, _context: told.names.append(name)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            told.hosts.append(self.headers["Host"])
            self.send_response(204)
            self.end_headers()

    with listening(Handler, tls) as told.port:
        yield told


def sent(shop: Workshop, url: str, **settings: Any) -> Delivery:
    """The delivery of one event, tried once."""
    told = Settings(webhooks_private=True)
    shop.do(webhooks.create, shop.principal, url=url, events=["job.queued"], enabled=True, settings=told)
    shop.submit()
    assert Courier(shop.kit(webhooks_private=True, **settings)).round() == 1
    return delivery(shop)


def delivery(shop: Workshop) -> Delivery:
    with shop.database.read() as session:
        found: Delivery = session.query(Delivery).one()
        return found


def test_the_address_is_pinned_and_the_certificate_is_held_to_the_name(
    workshop: Workshop, authority: trustme.CA, trusted: Path
) -> None:
    with receiving(authority.issue_cert("localhost")) as receiver:
        row = sent(workshop, f"https://localhost:{receiver.port}/hook", webhooks_ca_file=trusted)
        assert (row.status, row.code, row.error) == ("delivered", 204, None)
        assert (receiver.hosts, receiver.names) == ([f"localhost:{receiver.port}"], ["localhost"])
        assert b"job.queued" in receiver.bodies[0]


def test_a_receiver_may_be_named_by_its_address(workshop: Workshop, authority: trustme.CA, trusted: Path) -> None:
    with receiving(authority.issue_cert("127.0.0.1")) as receiver:
        row = sent(workshop, f"https://127.0.0.1:{receiver.port}/", webhooks_ca_file=trusted)
    assert (row.status, row.code) == ("delivered", 204)


@pytest.mark.parametrize("who", ["another authority", "another name", "the same address by name"])
def test_a_certificate_that_is_not_good_gets_nothing_until_it_is(
    workshop: Workshop, authority: trustme.CA, trusted: Path, who: str
) -> None:
    wrong, reason = {
        "another authority": (trustme.CA().issue_cert("localhost"), "unable to get local issuer certificate"),
        "another name": (authority.issue_cert("hook.example"), "Hostname mismatch, certificate is not valid for 'localhost'"),
        "the same address by name": (authority.issue_cert("127.0.0.1"), "Hostname mismatch"),
    }[who]
    with receiving(wrong) as receiver:
        row = sent(workshop, f"https://localhost:{receiver.port}/", webhooks_ca_file=trusted)
        assert receiver.bodies == []
        assert (row.status, row.code, row.attempts) == ("pending", None, 1)  # it will be tried again, later
        assert "certificate verify failed" in (row.error or "")
        assert reason in (row.error or "")
    with receiving(authority.issue_cert("localhost")) as mended:
        url = f"https://localhost:{mended.port}/"
        workshop.do(webhooks.change, row.webhook_id, {"url": url}, actor="key_1", settings=Settings(webhooks_private=True))
        workshop.do(webhooks.redeliver, row.webhook_id, row.id, actor="key_1")
        assert Courier(workshop.kit(webhooks_private=True, webhooks_ca_file=trusted)).round() == 1
        again = delivery(workshop)
        assert (again.id, again.status, again.code, again.error) == (row.id, "delivered", 204, None)
        assert len(mended.bodies) == 1


def test_an_authority_of_one_s_own_is_believed_only_where_it_is_named(workshop: Workshop, authority: trustme.CA) -> None:
    with receiving(authority.issue_cert("localhost")) as receiver:
        row = sent(workshop, f"https://localhost:{receiver.port}/")
        assert receiver.bodies == []
    assert "certificate verify failed" in (row.error or "")


def test_a_receiver_without_tls_gets_nothing(workshop: Workshop, trusted: Path) -> None:
    with listening(BaseHTTPRequestHandler) as port:
        row = sent(workshop, f"https://localhost:{port}/", webhooks_ca_file=trusted)
    assert (row.status, row.code) == ("pending", None)
    assert "SSL" in (row.error or "")


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n"])
def test_a_file_without_certificates_is_refused_at_the_start(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "authority.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match="DLKD_WEBHOOKS_CA_FILE is no file of certificates"):
        Settings(webhooks_ca_file=path)
