"""API servers that share a broker share the limits of their callers: together they let through what one would."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

import httpx
import pytest

from tests.engines import settings_of
from tests.fleet import api, served

LIMIT, STRANGERS = 24, 7
_RATES = {"DLKD_RATE_PER_MINUTE": str(LIMIT), "DLKD_RATE_UNKNOWN_PER_MINUTE": str(STRANGERS)}


class Pair:
    """Two servers over one database and one broker."""

    def __init__(self, admin: httpx.Client, urls: list[str]) -> None:
        self.admin = admin
        self.urls = urls

    def key(self) -> str:
        return str(self.admin.post("/v1/keys", json={"name": "caller"}).json()["key"])

    def asked(self, key: str, times: int, *, at_once: int = 1) -> list[httpx.Response]:
        """The answers of the one and the other in turns, in the order in which they were asked."""

        def ask(url: str) -> httpx.Response:
            return httpx.get(f"{url}/v1/me", headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False)

        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(ask, islice(cycle(self.urls), times)))


@pytest.fixture(scope="module")
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    settings = {**settings_of(request, "valkey", "local"), **_RATES}
    with served(settings, folder / "one") as (client, admin), api({**settings, "DLKD_DATA": str(folder)}, folder) as url:
        yield Pair(admin, [client.url, url])


def facts(answer: httpx.Response) -> tuple[int, str, str]:
    return answer.status_code, answer.headers["RateLimit-Limit"], answer.headers["RateLimit-Remaining"]


def test_one_after_the_other_they_count_down_together(pair: Pair) -> None:
    """The minute begins with a caller's first request, so that nothing of it comes back before the last one."""
    found = [facts(answer) for answer in pair.asked(pair.key(), LIMIT + 4)]
    assert found == [(200, str(LIMIT), str(LIMIT - 1 - n)) for n in range(LIMIT)] + [(429, str(LIMIT), "0")] * 4


def test_asked_at_once_they_let_through_exactly_the_limit(pair: Pair) -> None:
    busy, idle = pair.key(), pair.key()
    answers = pair.asked(busy, 2 * LIMIT, at_once=8)
    passed, refused = ([answer for answer in answers if answer.is_success is well] for well in (True, False))
    assert len(passed) == LIMIT
    for answer in refused:
        assert (*facts(answer), answer.json()["code"]) == (429, str(LIMIT), "0", "rate_exceeded")
        assert 1 <= int(answer.headers["Retry-After"]) == int(answer.headers["RateLimit-Reset"]) <= 60
    assert {url for url in pair.urls if any(str(answer.url).startswith(url) for answer in refused)} == set(pair.urls)
    assert [facts(answer)[0] for answer in pair.asked(idle, 2)] == [200, 200]


def test_whose_key_is_refused_is_counted_by_address_at_both(pair: Pair) -> None:
    codes = [answer.status_code for answer in pair.asked("dlkd_unknown_key", STRANGERS + 3)]
    assert codes == [401] * STRANGERS + [429] * 3
