"""Rules for retrying requests."""

import random

import httpx

_RETRYABLE_STATUSES = frozenset({429, 502, 503, 504})
_BASE_DELAY_SECONDS, _MAX_DELAY_SECONDS, _MAX_RETRY_AFTER_SECONDS = 0.25, 8.0, 120.0


def is_idempotent(method: str, headers: httpx.Headers) -> bool:
    """Return whether the request may be repeated. For a POST, this requires an Idempotency-Key."""
    return method != "POST" or "Idempotency-Key" in headers


def is_retryable(response: httpx.Response) -> bool:
    """Return whether the service refused the request only temporarily."""
    return response.status_code in _RETRYABLE_STATUSES


def retry_delay(attempt: int, response: httpx.Response | None = None) -> float:
    """Return how many seconds to wait after the given number of tries.

    If the response has a Retry-After header, the delay follows it. Otherwise the delay doubles with
    each try and has jitter.
    """
    retry_after = response.headers.get("Retry-After", "") if response is not None else ""
    if retry_after.isdecimal():
        return min(float(retry_after), _MAX_RETRY_AFTER_SECONDS)
    delay: float = min(_BASE_DELAY_SECONDS * 2 ** (attempt - 1), _MAX_DELAY_SECONDS)
    return delay * random.uniform(0.5, 1)  # noqa: S311 - not cryptographic
