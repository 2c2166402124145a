"""Row ids: a prefix and 26 characters that sort by creation time."""

from secrets import randbits
from threading import Lock
from time import time_ns

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_RANDOM_BITS = 80
_LENGTH = 26


class _Clock:
    """A generator of numbers that consist of the time in milliseconds and random bits.

    Within a process, the numbers strictly increase.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._last = 0

    def tick(self) -> int:
        with self._lock:
            fresh = (time_ns() // 1_000_000 << _RANDOM_BITS) | randbits(_RANDOM_BITS)
            self._last = max(self._last + 1, fresh)
            return self._last


_clock = _Clock()


def new_id(prefix: str) -> str:
    """Return a new id such as ``job_01k9xy…`` that sorts after all earlier ones."""
    value = _clock.tick()
    shifts = range(5 * (_LENGTH - 1), -1, -5)
    return f"{prefix}_" + "".join(_ALPHABET[(value >> shift) & 31] for shift in shifts)
