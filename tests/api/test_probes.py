"""Checks with a time limit."""

from collections.abc import Callable
from threading import Event
from time import monotonic

import pytest

from api.probes import Probes


def fails(error: Exception) -> Callable[[], None]:
    def check() -> None:
        raise error

    return check


def test_each_check_says_what_is_wrong() -> None:
    wrong = ConnectionRefusedError("no way to redis://:pa55@cache\nand more")
    checks = {"well": lambda: None, "silent": fails(ValueError()), "loud": fails(wrong), "slow": fails(TimeoutError("timed out"))}
    assert Probes(checks, 5).outcomes() == {
        "well": "ok",
        "silent": "ValueError",
        "loud": "no way to redis://:***@cache",
        "slow": "timed out",
    }


def test_one_that_hangs_is_given_up_and_not_asked_again_until_it_has_answered() -> None:
    released, calls = Event(), []

    def hang() -> None:
        calls.append(1)
        released.wait()

    probes = Probes({"dead": hang, "well": lambda: None}, 0.1)
    began = monotonic()
    for _ in range(3):
        assert probes.outcomes() == {"dead": "no answer within 0.1 s", "well": "ok"}
    assert monotonic() - began < 5
    assert len(calls) == 1
    released.set()
    while probes.outcomes()["dead"] != "ok":
        pass
    assert probes.outcomes()["dead"] == "ok"
    assert len(calls) >= 2


@pytest.mark.parametrize("count", [1, 5])
def test_checks_are_asked_at_once(count: int) -> None:
    """Each waits for all the others."""
    there = [Event() for _ in range(count)]

    def meet(mine: Event) -> Callable[[], None]:
        def check() -> None:
            mine.set()
            assert all(other.wait(10) for other in there)

        return check

    found = Probes({str(number): meet(event) for number, event in enumerate(there)}, 20).outcomes()
    assert set(found.values()) == {"ok"}
