"""Rate limits per caller and per client address.

Requests are counted in Redis if Redis is the broker, so that all API processes share the count.
Otherwise each process counts only the requests that it receives.
"""

import logging
from dataclasses import dataclass
from time import time

from limits import RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter

from registry.settings import Settings

_REDIS_SCHEMES = ("redis://", "rediss://")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RateLimitStatus:
    """State of a rate limit after a request has been counted."""

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: int  # time until more requests are allowed

    def headers(self) -> dict[str, str]:
        """Return the response headers that describe the rate limit."""
        values = {
            "RateLimit-Limit": self.limit,
            "RateLimit-Remaining": self.remaining,
            "RateLimit-Reset": self.reset_seconds,
        }
        if not self.allowed:
            values["Retry-After"] = self.reset_seconds
        return {name: str(value) for name, value in values.items()}


class RateLimiter:
    """Counts requests in sliding one-minute windows.

    If Redis does not respond, requests are still served within the limits, but each process counts
    only the requests that it receives.
    """

    def __init__(self, settings: Settings) -> None:
        self._caller_limit = settings.rate_per_minute
        self._address_limit = settings.rate_unknown_per_minute
        self._local = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._shared = self._local
        if settings.broker_url.startswith(_REDIS_SCHEMES):
            storage = storage_from_string(
                settings.broker_url,
                wrap_exceptions=True,
                socket_connect_timeout=1,
                socket_timeout=1,
            )
            self._shared = SlidingWindowCounterRateLimiter(storage)

    def hit_caller(self, principal_id: str) -> RateLimitStatus | None:
        """Count a request from an authenticated caller. Returns None if there is no limit."""
        return self._hit_shared("caller", principal_id, self._caller_limit)

    def hit_address(self, address: str) -> RateLimitStatus | None:
        """Count a request with a rejected credential. Returns None if there is no limit."""
        return self._hit_shared("address", address, self._address_limit)

    def _hit_shared(self, kind: str, identifier: str, limit: int) -> RateLimitStatus | None:
        if limit == 0:
            return None
        item = RateLimitItemPerMinute(limit, namespace=f"dlkd.{kind}")
        try:
            return _hit(self._shared, item, identifier)
        except StorageError as error:
            _log.warning("Redis is unavailable; rate limits are counted per process: %s", error)
            return _hit(self._local, item, identifier)


def _hit(
    limiter: SlidingWindowCounterRateLimiter, item: RateLimitItemPerMinute, identifier: str
) -> RateLimitStatus:
    allowed = limiter.hit(item, identifier)
    stats = limiter.get_window_stats(item, identifier)
    return RateLimitStatus(
        allowed=allowed,
        limit=item.amount,
        remaining=stats.remaining if allowed else 0,
        reset_seconds=max(1, round(stats.reset_time - time())),
    )
