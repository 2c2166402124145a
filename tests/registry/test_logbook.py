"""The log of a process."""

import io
import json
import logging

import pytest
from structlog.contextvars import bound_contextvars

from registry.logbook import masked, open_log
from registry.settings import Settings


def fall(_hidden: str, message: str) -> None:
    raise RuntimeError(message)


def test_json_has_a_line_for_each_record_with_what_is_bound(log_stream: io.StringIO) -> None:
    open_log(Settings(log_format="json"), log_stream)
    with bound_contextvars(job="job_1", attempt=2):
        logging.getLogger("worker.supervisor").warning("%s fell\nsilent", "it")
    logging.getLogger("uvicorn.error").info("started", extra={"color_message": "\x1b[1mstarted", "method": "GET"})
    first, second = (json.loads(line) for line in log_stream.getvalue().splitlines())
    assert {name: first[name] for name in ("event", "level", "logger", "job", "attempt")} == {
        "event": "it fell\nsilent",
        "level": "warning",
        "logger": "worker.supervisor",
        "job": "job_1",
        "attempt": 2,
    }
    assert first["timestamp"].endswith("Z")
    assert second.keys() == {"event", "level", "logger", "timestamp", "method"}


def test_a_traceback_is_told_without_the_values_of_variables(log_stream: io.StringIO) -> None:
    for form in ("json", "console"):
        open_log(Settings(log_format=form), log_stream)  # type: ignore[arg-type] # a literal
        hidden = "a" + "value"
        try:
            fall(hidden, "broken")
        except RuntimeError:
            logging.getLogger("x").exception("failed")
        assert hidden not in log_stream.getvalue()
    assert log_stream.getvalue().count("RuntimeError: broken") == 2
    assert "Traceback" in json.loads(log_stream.getvalue().splitlines()[0])["exception"]


def test_what_is_less_than_the_level_is_not_told(log_stream: io.StringIO) -> None:
    open_log(Settings(log_level="WARNING"), log_stream)
    logging.getLogger("x").info("chatter")
    logging.getLogger("x").warning("news")
    assert "news" in log_stream.getvalue()
    assert "chatter" not in log_stream.getvalue()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("key dlkd_0a1b2c3d_Abc-9_x.", "key dlkd_0a1b2c3d_***."),
        ("{'authorization': 'Bearer eyJ.a-b_c'}", "{'authorization': 'Bearer ***'}"),
        ("at postgresql://dlkd:pa55@db/dlkd now", "at postgresql://dlkd:***@db/dlkd now"),
        ("redis://:pa55@cache/0", "redis://:***@cache/0"),
        ("GET http://s3/x?X-Amz-Signature=abc&y=1", "GET http://s3/x?X-Amz-Signature=***&y=1"),
        ("attempt 2 of job_01 token: none", "attempt 2 of job_01 token: none"),
        ("http://127.0.0.1:8000/v1/jobs", "http://127.0.0.1:8000/v1/jobs"),
    ],
)
def test_secrets_are_masked_and_nothing_else(said: str, told: str) -> None:
    assert masked(said) == told


def test_a_secret_in_a_traceback_is_masked(log_stream: io.StringIO) -> None:
    for form in ("json", "console"):
        open_log(Settings(log_format=form), log_stream)  # type: ignore[arg-type] # a literal
        try:
            fall("", "cannot reach postgresql://dlkd:pa55@db")
        except RuntimeError:
            logging.getLogger("x").exception("with dlkd_0a1b2c3d_h1dden")
    assert "pa55" not in log_stream.getvalue()
    assert "h1dden" not in log_stream.getvalue()
