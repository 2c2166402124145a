"""Tests for rate limits that several API servers share through their broker."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

import httpx
import pytest

from tests.support.backends import make_settings
from tests.support.separate_services import run_api, serve_with_client

LIMIT, UNKNOWN_LIMIT = 24, 7
_RATES = {"DLKD_RATE_PER_MINUTE": str(LIMIT), "DLKD_RATE_UNKNOWN_PER_MINUTE": str(UNKNOWN_LIMIT)}


class ServerPair:
    """Two API servers that share a database and a broker."""

    def __init__(self, admin: httpx.Client, urls: list[str]) -> None:
        self.admin = admin
        self.urls = urls

    def create_key(self) -> str:
        return str(self.admin.post("/v1/keys", json={"name": "caller"}).json()["key"])

    def send_requests(self, key: str, count: int, *, concurrency: int = 1) -> list[httpx.Response]:
        """Send requests alternately to the two servers and return the responses in order."""

        def send(url: str) -> httpx.Response:
            return httpx.get(
                f"{url}/v1/me",
                headers={"Authorization": f"Bearer {key}"},
                timeout=60,
                trust_env=False,
            )

        with ThreadPoolExecutor(concurrency) as pool:
            return list(pool.map(send, islice(cycle(self.urls), count)))


@pytest.fixture(scope="module")
def server_pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerPair]:
    folder = tmp_path_factory.mktemp("pair")
    settings = {**make_settings(request, "valkey", "local"), **_RATES}
    with (
        serve_with_client(settings, folder / "one") as (client, admin),
        run_api({**settings, "DLKD_DATA": str(folder)}, folder) as url,
    ):
        yield ServerPair(admin, [client.url, url])


def rate_limit_facts(response: httpx.Response) -> tuple[int, str, str]:
    return (
        response.status_code,
        response.headers["RateLimit-Limit"],
        response.headers["RateLimit-Remaining"],
    )


def test_sequential_requests_count_down_together(server_pair: ServerPair) -> None:
    """The one-minute window starts with the first request and does not end during the test."""
    results = [
        rate_limit_facts(response)
        for response in server_pair.send_requests(server_pair.create_key(), LIMIT + 4)
    ]
    assert (
        results
        == [(200, str(LIMIT), str(LIMIT - 1 - n)) for n in range(LIMIT)]
        + [(429, str(LIMIT), "0")] * 4
    )


def test_concurrent_requests_pass_exactly_up_to_the_limit(server_pair: ServerPair) -> None:
    busy, idle = server_pair.create_key(), server_pair.create_key()
    responses = server_pair.send_requests(busy, 2 * LIMIT, concurrency=8)
    passed = [response for response in responses if response.is_success]
    refused = [response for response in responses if not response.is_success]
    assert len(passed) == LIMIT
    for response in refused:
        assert (*rate_limit_facts(response), response.json()["code"]) == (
            429,
            str(LIMIT),
            "0",
            "rate_exceeded",
        )
        assert (
            1
            <= int(response.headers["Retry-After"])
            == int(response.headers["RateLimit-Reset"])
            <= 60
        )
    assert {
        url
        for url in server_pair.urls
        if any(str(response.url).startswith(url) for response in refused)
    } == set(server_pair.urls)
    assert [rate_limit_facts(response)[0] for response in server_pair.send_requests(idle, 2)] == [
        200,
        200,
    ]


def test_refused_keys_are_counted_by_address_at_both_servers(server_pair: ServerPair) -> None:
    codes = [
        response.status_code
        for response in server_pair.send_requests("dlkd_unknown_key", UNKNOWN_LIMIT + 3)
    ]
    assert codes == [401] * UNKNOWN_LIMIT + [429] * 3
