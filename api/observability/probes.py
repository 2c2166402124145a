"""Health probes with a time limit."""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from threading import Lock, Thread
from time import monotonic

from registry.observability.logging_setup import mask_secrets

OK = "ok"
_log = logging.getLogger(__name__)


class ProbeRunner:
    """Runs health checks concurrently.

    A check that hangs is not started again until it returns. This way, threads do not pile up while
    a backend is unresponsive.
    """

    def __init__(self, checks: Mapping[str, Callable[[], None]], timeout: float) -> None:
        self._checks = checks
        self._timeout = timeout
        self._lock = Lock()
        self._pending: dict[str, Future[None]] = {}

    def run_all(self) -> dict[str, str]:
        """Run all checks and return `OK` or an error message for each.

        A check that exceeds the timeout gets an error message.
        """
        deadline = monotonic() + self._timeout
        futures = {name: self._start_probe(name) for name in self._checks}
        return {name: self._wait_for_result(future, deadline) for name, future in futures.items()}

    def _start_probe(self, name: str) -> "Future[None]":
        with self._lock:
            pending = self._pending.get(name)
            if pending is None or pending.done():
                pending = self._pending[name] = _run_in_thread(name, self._checks[name])
            return pending

    def _wait_for_result(self, future: "Future[None]", deadline: float) -> str:
        try:
            future.result(max(0.0, deadline - monotonic()))
        except FutureTimeoutError:
            # A check can also raise TimeoutError itself.
            return "timed out" if future.done() else f"no answer within {self._timeout:g} s"
        except Exception as error:  # noqa: BLE001 - every backend raises its own types
            return mask_secrets(str(error).partition("\n")[0]) or type(error).__name__
        return OK


def _run_in_thread(name: str, check: Callable[[], None]) -> "Future[None]":
    future: Future[None] = Future()

    def run() -> None:
        try:
            check()
        except Exception as error:  # noqa: BLE001 - every backend raises its own types
            _log.debug("Probe %s failed: %s", name, error)
            future.set_exception(error)
        else:
            future.set_result(None)

    Thread(target=run, name=f"probe-{name}", daemon=True).start()
    return future
