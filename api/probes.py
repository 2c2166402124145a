"""Checks with a time limit, for a prober that will not wait long."""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillWaiting
from threading import Lock, Thread
from time import monotonic

from registry.logbook import masked

OK = "ok"
_log = logging.getLogger(__name__)


class Probes:
    """Asks all at once. A check that hangs is asked again only when it has answered: a dead engine must not pile up threads."""

    def __init__(self, checks: Mapping[str, Callable[[], None]], seconds: float) -> None:
        self._checks = checks
        self._seconds = seconds
        self._lock = Lock()
        self._asked: dict[str, Future[None]] = {}

    def outcomes(self) -> dict[str, str]:
        """What each check found: ok, or what is wrong."""
        until = monotonic() + self._seconds
        asked = {name: self._ask(name) for name in self._checks}
        return {name: self._answer(answer, until) for name, answer in asked.items()}

    def _ask(self, name: str) -> "Future[None]":
        with self._lock:
            before = self._asked.get(name)
            if before is None or before.done():
                before = self._asked[name] = _started(name, self._checks[name])
            return before

    def _answer(self, answer: "Future[None]", until: float) -> str:
        try:
            answer.result(max(0.0, until - monotonic()))
        except StillWaiting:
            return f"no answer within {self._seconds:g} s" if not answer.done() else "timed out"
        except Exception as error:  # noqa: BLE001 - engines raise their own kinds; here each is an answer
            return masked(str(error).partition("\n")[0]) or type(error).__name__
        return OK


def _started(name: str, check: Callable[[], None]) -> "Future[None]":
    answer: Future[None] = Future()

    def ask() -> None:
        try:
            check()
        except Exception as error:  # noqa: BLE001 - as above
            _log.debug("%s: %s", name, error)
            answer.set_exception(error)
        else:
            answer.set_result(None)

    Thread(target=ask, name=f"probe of {name}", daemon=True).start()
    return answer
