"""Sends what webhooks are to be told: signed, to an address that was resolved once and judged, within a few seconds."""

import json
import logging
import ssl
from socket import SOCK_STREAM
from threading import Thread
from time import time

import anyio
import httpx
from anyio import create_task_group, fail_after, getaddrinfo

from registry import webhooks
from registry.errors import AddressRefused
from registry.settings import Settings
from registry.webhooks import Parcel
from worker.kit import Kit

_AT_ONCE = 32
_SECONDS = 10.0  # for everything: the name, the connection, the answer's head
_log = logging.getLogger(__name__)


class Courier:
    """One round at a time, beside the dispatcher's own work: a receiver that is slow holds up nobody's jobs."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._tls = _trust(kit.settings)
        self._round = Thread(target=self.round)

    def start(self) -> None:
        """Begins a round, unless the last one is still under way."""
        if not self._round.is_alive():
            self._round = Thread(target=self._logged, name="courier", daemon=True)
            self._round.start()

    def round(self) -> int:
        """Sends what is due and notes how it went; how many there were."""
        with self._kit.database.write() as session:
            parcels = webhooks.take(session, limit=_AT_ONCE)
        if parcels:
            for parcel, (code, error) in zip(parcels, anyio.run(_send_all, parcels, self._kit.settings, self._tls), strict=True):
                with self._kit.database.write() as session:
                    webhooks.settle(session, parcel, code=code, error=error)
        return len(parcels)

    def _logged(self) -> None:
        try:
            while self.round() == _AT_ONCE:
                pass
        except Exception:  # noqa: BLE001 - the database may be away; the next round tries again
            _log.exception("webhooks were not sent")


Outcome = tuple[int | None, str | None]  # the answer's status, or why there was none


def _trust(settings: Settings) -> ssl.SSLContext:
    """Whose certificates are believed: this machine's authorities, and those of the setting."""
    found = ssl.create_default_context()
    if settings.webhooks_ca_file is not None:
        found.load_verify_locations(settings.webhooks_ca_file)
    return found


async def _send_all(parcels: list[Parcel], settings: Settings, tls: ssl.SSLContext) -> list[Outcome]:
    outcomes: list[Outcome] = [(None, None)] * len(parcels)

    async def one(index: int) -> None:
        outcomes[index] = await _send(parcels[index], settings, tls)

    async with create_task_group() as group:
        for index in range(len(parcels)):
            group.start_soon(one, index)
    return outcomes


async def _send(parcel: Parcel, settings: Settings, tls: ssl.SSLContext) -> Outcome:
    try:
        with fail_after(_SECONDS):
            return await _post(parcel, settings, tls), None
    except TimeoutError:
        return None, f"no answer within {_SECONDS:.0f} s"
    except AddressRefused as error:
        return None, error.message
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
        return None, f"{type(error).__name__}: {error}"


async def _post(parcel: Parcel, settings: Settings, tls: ssl.SSLContext) -> int:
    """The status of the answer, whose body is not read. Redirects are answers like others: they are not followed."""
    parts = webhooks.judge(parcel.url, settings)
    host, port = parts.hostname or "", parts.port or {"https": 443, "http": 80}[parts.scheme]
    address = await _resolved(host, port, settings)
    url = httpx.URL(parcel.url).copy_with(host=address)  # so that nobody resolves the name again, and otherwise
    body = json.dumps(parcel.payload, separators=(",", ":")).encode()
    headers = {"Host": parts.netloc, "Content-Type": "application/json", "User-Agent": "dlkd", **_signed(parcel, body)}
    async with (
        httpx.AsyncClient(verify=tls, trust_env=False, follow_redirects=False, timeout=_SECONDS) as client,
        client.stream("POST", url, content=body, headers=headers, extensions={"sni_hostname": host}) as answer,
    ):
        return answer.status_code


def _signed(parcel: Parcel, body: bytes) -> dict[str, str]:
    at = int(time())
    return {
        "webhook-id": parcel.id,
        "webhook-timestamp": str(at),
        "webhook-signature": webhooks.signature(parcel.secret, parcel.id, at, body),
    }


async def _resolved(host: str, port: int, settings: Settings) -> str:
    """The first address of the name; `AddressRefused` where any of them is not one of the internet."""
    addresses = [str(found[4][0]) for found in await getaddrinfo(host, port, type=SOCK_STREAM)]
    inside = [address for address in addresses if not webhooks.public(address)]
    if inside and not settings.webhooks_private:
        raise AddressRefused(f"{host} is {inside[0]}, which is not an address of the internet.")
    return addresses[0]
