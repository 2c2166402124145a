"""How often who may ask: counted in Redis where that is the broker, so that several API processes count together; else here."""

import logging
from dataclasses import dataclass
from time import time

from limits import RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter

from registry.settings import Settings

_REDIS = ("redis://", "rediss://")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Left:
    """What is left of a limit after a request: `reset` seconds until there is more."""

    allowed: bool
    limit: int
    remaining: int
    reset: int

    def headers(self) -> dict[str, str]:
        """For the answer."""
        told = {"RateLimit-Limit": self.limit, "RateLimit-Remaining": self.remaining, "RateLimit-Reset": self.reset}
        return {name: str(value) for name, value in (told if self.allowed else {**told, "Retry-After": self.reset}).items()}


class Rates:
    """Sliding minutes. A Redis that does not answer refuses nobody: this process then counts by itself."""

    def __init__(self, settings: Settings) -> None:
        self._callers = settings.rate_per_minute
        self._strangers = settings.rate_unknown_per_minute
        self._here = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._shared = self._here
        if settings.broker_url.startswith(_REDIS):
            options = {"socket_connect_timeout": 1, "socket_timeout": 1}
            storage = storage_from_string(settings.broker_url, wrap_exceptions=True, **options)
            self._shared = SlidingWindowCounterRateLimiter(storage)

    def of_caller(self, principal_id: str) -> Left | None:
        """Counts a request of somebody known; None where there is no limit."""
        return self._count("caller", principal_id, self._callers)

    def of_stranger(self, address: str) -> Left | None:
        """Counts a request whose key was refused."""
        return self._count("address", address, self._strangers)

    def _count(self, kind: str, who: str, limit: int) -> Left | None:
        if limit == 0:
            return None
        item = RateLimitItemPerMinute(limit, namespace=f"dlkd.{kind}")
        try:
            return _hit(self._shared, item, who)
        except StorageError as error:
            _log.warning("the rates are counted by this process alone: %s", error)
            return _hit(self._here, item, who)


def _hit(limiter: SlidingWindowCounterRateLimiter, item: RateLimitItemPerMinute, who: str) -> Left:
    allowed = limiter.hit(item, who)
    stats = limiter.get_window_stats(item, who)
    return Left(allowed, item.amount, stats.remaining if allowed else 0, max(1, round(stats.reset_time - time())))
