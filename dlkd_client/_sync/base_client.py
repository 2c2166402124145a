"""Sends HTTP requests with retries and parses the responses into typed objects."""

from collections.abc import Iterator, Mapping
from typing import Any, Self, TypeVar
from uuid import uuid4

import httpx

from dlkd_client.concurrency import sleep
from dlkd_client.errors import ServiceUnreachable, problem_from_response
from dlkd_client.responses import ResponseModel
from dlkd_client.retries import is_idempotent, is_retryable, retry_delay

_Model = TypeVar("_Model", bound=ResponseModel)


class BaseClient:
    """Sends requests, and retries those that are safe to repeat.

    If the service refuses a request, `ProblemError` is raised.

    Args:
        url: Address of the service, such as http://127.0.0.1:8000.
        api_key: API key of the service.
        timeout: Seconds after which a request is aborted if no byte is transferred.
        retries: Maximum number of times that a request is repeated after a connection error or a
            temporary refusal (429, 502, 503, 504).
        transport: httpx transport for requests to the service, for tests.
        store_transport: httpx transport for requests to the service's S3 store, for tests.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout: float = 60,
        retries: int = 3,
        transport: httpx.BaseTransport | None = None,
        store_transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.timeout = timeout
        self.retries = retries
        self.store_transport = store_transport
        self.http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=timeout,
            # Redirects lead to the object store. httpx sends the API key only to the service.
            follow_redirects=True,
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a request and return the response.

        Raises:
            ProblemError: The service refused the request.
            ServiceUnreachable: The service did not respond, even after all retries.
        """
        headers = httpx.Headers(request.pop("headers", None))
        if method == "POST":
            headers.setdefault("Idempotency-Key", uuid4().hex)
        response = self._send_with_retries(method, path, headers, request)
        raise_for_problem(response)
        return response

    def send_json(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """Send a request with `send` and return the JSON object in the response."""
        document: dict[str, Any] = (self.send(method, path, **request)).json()
        return document

    def _send_with_retries(
        self, method: str, path: str, headers: httpx.Headers, request: Mapping[str, Any]
    ) -> httpx.Response:
        retries = self.retries if is_idempotent(method, headers) else 0
        for tries in range(1, retries + 1):
            try:
                response = self.http.request(method, path, headers=headers, **request)
            except httpx.TransportError:
                sleep(retry_delay(tries))
                continue
            if not is_retryable(response):
                return response
            sleep(retry_delay(tries, response))
        try:
            return self.http.request(method, path, headers=headers, **request)
        except httpx.TransportError as error:
            raise self.unreachable_error(error) from error

    def unreachable_error(self, error: httpx.TransportError) -> ServiceUnreachable:
        """Build the error to raise for a failed connection."""
        reason = str(error) or type(error).__name__
        return ServiceUnreachable(
            f"{self.url} does not respond ({reason}). Is the service running?"
        )

    def get(self, path: str, model_type: type[_Model], **params: Any) -> _Model:
        """Get a resource as a response object, whose methods use this client."""
        return self.parse(self.send("GET", path, params=params), model_type)

    def parse(self, response: httpx.Response, model_type: type[_Model]) -> _Model:
        """Parse the body of a response into an object of the given class."""
        return model_type.model_validate_json(response.content, context=self)

    def paginate(self, path: str, model_type: type[_Model], **params: Any) -> Iterator[_Model]:
        """Yield all items of a list, page by page. Parameters with the value None are not sent."""
        query = {name: value for name, value in params.items() if value is not None}
        cursor: str | None = ""
        while cursor is not None:
            page_query = {**query, "cursor": cursor} if cursor else query
            page = self.send_json("GET", path, params=page_query)
            for item in page["items"]:
                yield model_type.model_validate(item, context=self)
            cursor = page["next_cursor"]


def raise_for_problem(response: httpx.Response) -> None:
    """Raise a `ProblemError` with the response's details if the service refused the request."""
    if response.is_error:
        response.read()
        raise problem_from_response(response)
