"""Tests for the results that the worker itself creates if a trainer crashes or the worker fails."""

import signal

import pytest

from worker.trainer_result import make_crash, make_worker_error


@pytest.mark.parametrize(
    ("status", "message", "hint"),
    [
        (3, "exited with status 3", "log"),
        (-signal.SIGKILL, "terminated by SIGKILL", "ran out of memory"),
        (-signal.SIGSEGV, "terminated by SIGSEGV", "library crashed"),
        (-signal.SIGHUP, "terminated by SIGHUP", "outside the service"),
    ],
)
def test_a_crash_has_its_likely_cause_and_is_retryable(
    status: int, message: str, hint: str
) -> None:
    result = make_crash(status, ["last words"])
    assert (result.kind, result.error["code"], result.error["retryable"]) == (
        "failed",
        "trainer_died",
        True,
    )
    assert message in result.error["message"]
    assert hint in result.error["hint"]
    assert result.log == ["last words"]


def test_a_worker_error_has_its_type_and_a_message_of_limited_length() -> None:
    result = make_worker_error(OSError("no space left" * 1000), [])
    assert result.error["code"] == "worker_error"
    assert result.error["message"].startswith("OSError: no space left")
    assert len(result.error["message"]) <= 1000
    assert result.error["retryable"]
