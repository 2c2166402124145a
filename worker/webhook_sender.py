"""Sends signed webhook deliveries.

For each delivery, the host name in the URL is resolved once, and its addresses are checked.
"""

import json
import logging
import ssl
from socket import SOCK_STREAM
from threading import Thread
from time import time

import anyio
import httpx
from anyio import create_task_group, fail_after, getaddrinfo

from registry.access.address_checks import is_public
from registry.errors import AddressRefused
from registry.settings import Settings
from registry.webhooks import deliveries, subscriptions
from registry.webhooks.deliveries import PendingDelivery
from worker.context import WorkerContext

_BATCH_SIZE = 32
_TIMEOUT_SECONDS = 10.0  # for name resolution, connection and response headers together
_log = logging.getLogger(__name__)
DeliveryResult = tuple[int | None, str | None]  # (HTTP status, reason why there was no response)


class WebhookSender:
    """Sends due deliveries in a separate thread, so that slow receivers do not delay jobs."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._tls_context = _create_tls_context(context.settings)
        self._thread = Thread(target=self.send_due)

    def start(self) -> None:
        """Start sending the due deliveries, unless the previous round is still running."""
        if not self._thread.is_alive():
            self._thread = Thread(target=self._run_and_log, name="webhook-sender", daemon=True)
            self._thread.start()

    def send_due(self) -> int:
        """Send the due deliveries, record their results and return their number."""
        with self._context.database.write() as session:
            pending = deliveries.claim_due(session, limit=_BATCH_SIZE)
        if pending:
            results = anyio.run(_send_all, pending, self._context.settings, self._tls_context)
            for delivery, (code, error) in zip(pending, results, strict=True):
                with self._context.database.write() as session:
                    deliveries.record_result(session, delivery, code=code, error=error)
        return len(pending)

    def _run_and_log(self) -> None:
        try:
            while self.send_due() == _BATCH_SIZE:
                pass
        except Exception:  # noqa: BLE001 - the next round retries what an unavailable database stopped
            _log.exception("Webhook round failed")


def _create_tls_context(settings: Settings) -> ssl.SSLContext:
    """Create a TLS context that trusts the system's certificate authorities.

    It also trusts the authorities in `webhooks_ca_file`, if that is set.
    """
    context = ssl.create_default_context()
    if settings.webhooks_ca_file is not None:
        context.load_verify_locations(settings.webhooks_ca_file)
    return context


async def _send_all(
    deliveries: list[PendingDelivery], settings: Settings, tls_context: ssl.SSLContext
) -> list[DeliveryResult]:
    results: list[DeliveryResult] = [(None, None)] * len(deliveries)

    async def send_one(index: int) -> None:
        results[index] = await _send(deliveries[index], settings, tls_context)

    async with create_task_group() as group:
        for index in range(len(deliveries)):
            group.start_soon(send_one, index)
    return results


async def _send(
    delivery: PendingDelivery, settings: Settings, tls_context: ssl.SSLContext
) -> DeliveryResult:
    try:
        with fail_after(_TIMEOUT_SECONDS):
            return await _post(delivery, settings, tls_context), None
    except TimeoutError:
        return None, f"no response within {_TIMEOUT_SECONDS:.0f} s"
    except AddressRefused as error:
        return None, error.message
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
        return None, f"{type(error).__name__}: {error}"


async def _post(delivery: PendingDelivery, settings: Settings, tls_context: ssl.SSLContext) -> int:
    """Post a delivery and return the HTTP status.

    The body of the response is not read, and redirects are not followed.
    """
    parts = subscriptions.check_url(delivery.url, settings)
    host, port = parts.hostname or "", parts.port or {"https": 443, "http": 80}[parts.scheme]
    address = await _resolve_address(host, port, settings)
    # Connect to the checked address, because resolving the name again could yield another one.
    url = httpx.URL(delivery.url).copy_with(host=address)
    body = json.dumps(delivery.payload, separators=(",", ":")).encode()
    headers = {
        "Host": parts.netloc,
        "Content-Type": "application/json",
        "User-Agent": "dlkd",
        **_signature_headers(delivery, body),
    }
    async with (
        httpx.AsyncClient(
            verify=tls_context, trust_env=False, follow_redirects=False, timeout=_TIMEOUT_SECONDS
        ) as client,
        client.stream(
            "POST", url, content=body, headers=headers, extensions={"sni_hostname": host}
        ) as response,
    ):
        return response.status_code


def _signature_headers(delivery: PendingDelivery, body: bytes) -> dict[str, str]:
    timestamp = int(time())
    return {
        "webhook-id": delivery.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": deliveries.sign(delivery.secret, delivery.id, timestamp, body),
    }


async def _resolve_address(host: str, port: int, settings: Settings) -> str:
    """Resolve a host name and return its first address.

    Raises:
        AddressRefused: an address of the host is private, and private addresses are not allowed.
    """
    addresses = [str(entry[4][0]) for entry in await getaddrinfo(host, port, type=SOCK_STREAM)]
    private = [address for address in addresses if not is_public(address)]
    if private and not settings.webhooks_private:
        raise AddressRefused(f"{host} resolves to {private[0]}, which is not a public address.")
    return addresses[0]
