"""What is said of an attempt whose trainer said nothing."""

import signal

import pytest

from worker.ending import around, died


@pytest.mark.parametrize(
    ("status", "message", "hint"),
    [
        (3, "ended with status 3", "log"),
        (-signal.SIGKILL, "ended by SIGKILL", "ran out of memory"),
        (-signal.SIGSEGV, "ended by SIGSEGV", "library crashed"),
        (-signal.SIGHUP, "ended by SIGHUP", "outside the service"),
    ],
)
def test_a_death_is_told_with_its_likely_cause_and_may_be_tried_again(status: int, message: str, hint: str) -> None:
    ending = died(status, ["last words"])
    assert (ending.kind, ending.error["code"], ending.error["retryable"]) == ("failed", "trainer_died", True)
    assert message in ending.error["message"]
    assert hint in ending.error["hint"]
    assert ending.log == ["last words"]


def test_a_mishap_of_the_worker_itself_is_told_by_its_kind_and_not_at_any_length() -> None:
    ending = around(OSError("no space left" * 1000), [])
    assert ending.error["code"] == "worker_error"
    assert ending.error["message"].startswith("OSError: no space left")
    assert len(ending.error["message"]) <= 1000
    assert ending.error["retryable"]
