"""Which requests may be sent again, and when."""

import random

import httpx

_PASSING = frozenset({429, 502, 503, 504})  # the next try may fare better
_FIRST_SECONDS, _LONGEST_SECONDS, _PATIENCE_SECONDS = 0.25, 8.0, 120.0


def repeatable(method: str, headers: httpx.Headers) -> bool:
    """Whether doing it twice is doing it once. A POST is, under an Idempotency-Key."""
    return method != "POST" or "Idempotency-Key" in headers


def passing(answer: httpx.Response) -> bool:
    """Whether the refusal says nothing about the request itself."""
    return answer.status_code in _PASSING


def pause(tries: int, answer: httpx.Response | None = None) -> float:
    """Seconds to wait after so many tries: what the service asked for, else doubled each time, with jitter against crowds."""
    asked = answer.headers.get("Retry-After", "") if answer is not None else ""
    if asked.isdecimal():
        return min(float(asked), _PATIENCE_SECONDS)
    longest: float = min(_FIRST_SECONDS * 2 ** (tries - 1), _LONGEST_SECONDS)
    return longest * random.uniform(0.5, 1)  # noqa: S311 - no secret
