"""Health probes and their time limit."""

from collections.abc import Callable
from threading import Event
from time import monotonic

import pytest

from api.observability.probes import ProbeRunner


def failing_check(error: Exception) -> Callable[[], None]:
    def check() -> None:
        raise error

    return check


def test_each_check_reports_its_error() -> None:
    refused = ConnectionRefusedError("no way to redis://:pa55@cache\nand more")
    checks = {
        "well": lambda: None,
        "silent": failing_check(ValueError()),
        "loud": failing_check(refused),
        "slow": failing_check(TimeoutError("timed out")),
    }
    assert ProbeRunner(checks, 5).run_all() == {
        "well": "ok",
        "silent": "ValueError",
        "loud": "no way to redis://:***@cache",
        "slow": "timed out",
    }


def test_a_check_that_hangs_times_out_and_is_not_started_again_before_it_returns() -> None:
    released, calls = Event(), []

    def hang() -> None:
        calls.append(1)
        released.wait()

    probes = ProbeRunner({"dead": hang, "well": lambda: None}, 0.1)
    started = monotonic()
    for _ in range(3):
        assert probes.run_all() == {"dead": "no answer within 0.1 s", "well": "ok"}
    assert monotonic() - started < 5
    assert len(calls) == 1
    released.set()
    while probes.run_all()["dead"] != "ok":
        pass
    assert probes.run_all()["dead"] == "ok"
    assert len(calls) >= 2


@pytest.mark.parametrize("count", [1, 5])
def test_checks_run_concurrently(count: int) -> None:
    """Each check returns only after all the others have started."""
    events = [Event() for _ in range(count)]

    def meet(own_event: Event) -> Callable[[], None]:
        def check() -> None:
            own_event.set()
            assert all(event.wait(10) for event in events)

        return check

    results = ProbeRunner(
        {str(number): meet(event) for number, event in enumerate(events)}, 20
    ).run_all()
    assert set(results.values()) == {"ok"}
