"""A line to the service: requests with patience, answers with types."""

from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4

import httpx

from dlkd_client.answers import Answer
from dlkd_client.errors import Unreachable, problem_of
from dlkd_client.retries import passing, pause, repeatable
from dlkd_client.waiting import async_sleep

_A = TypeVar("_A", bound=Answer)


class AsyncConnection:
    """Sends what is asked, again where that is harmless, and raises refusals as `ProblemError`.

    Args:
        url: the service's address, such as http://127.0.0.1:8000.
        api_key: a key of it.
        timeout: seconds without a byte after which a request is given up.
        retries: how often a request is sent again after a broken line or a passing refusal (429, 502, 503, 504).
        transport: another way to the service, as tests use.
        store: another way to the service's S3 store, likewise.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout: float = 60,
        retries: int = 3,
        transport: httpx.AsyncBaseTransport | None = None,
        store: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.timeout = timeout
        self.retries = retries
        self.store = store
        self.http = httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=timeout,
            follow_redirects=True,  # to the object store's signed addresses; the key stays with this host
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Gives the connections back."""
        await self.http.aclose()

    async def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """The answer; `ProblemError` where it is a refusal, `Unreachable` where there is none."""
        headers = httpx.Headers(request.pop("headers", None))
        if method == "POST":
            headers.setdefault("Idempotency-Key", uuid4().hex)
        answer = await self._patiently(method, path, headers, request)
        if answer.is_error:
            raise problem_of(answer)
        return answer

    async def _patiently(self, method: str, path: str, headers: httpx.Headers, request: Mapping[str, Any]) -> httpx.Response:
        left = self.retries if repeatable(method, headers) else 0
        for tries in range(1, left + 1):
            try:
                answer = await self.http.request(method, path, headers=headers, **request)
            except httpx.TransportError:
                await async_sleep(pause(tries))
                continue
            if not passing(answer):
                return answer
            await async_sleep(pause(tries, answer))
        try:
            return await self.http.request(method, path, headers=headers, **request)
        except httpx.TransportError as error:
            raise self.unreachable(error) from error

    def unreachable(self, error: httpx.TransportError) -> Unreachable:
        """The same in words."""
        return Unreachable(f"{self.url} does not answer ({str(error) or type(error).__name__}). Is the service up?")

    async def get(self, path: str, kind: type[_A], **params: Any) -> _A:
        """One thing, typed, and bound to this client where its kind has methods."""
        return self.read(await self.send("GET", path, params=params), kind)

    def read(self, answer: httpx.Response, kind: type[_A]) -> _A:
        """What an answer holds."""
        return kind.model_validate_json(answer.content, context=self)

    async def pages(self, path: str, kind: type[_A], **params: Any) -> AsyncIterator[_A]:
        """All of a list, page by page as they are asked for; parameters that are None are left out."""
        asked = {name: value for name, value in params.items() if value is not None}
        cursor: str | None = ""
        while cursor is not None:
            page = (await self.send("GET", path, params={**asked, "cursor": cursor} if cursor else asked)).json()
            for item in page["items"]:
                yield kind.model_validate(item, context=self)
            cursor = page["next_cursor"]
