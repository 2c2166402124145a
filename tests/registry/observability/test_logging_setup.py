"""Logging setup: JSON lines, levels, tracebacks and masked secrets."""

import io
import json
import logging

import pytest
from structlog.contextvars import bound_contextvars

from registry.observability.logging_setup import configure_logging, mask_secrets
from registry.settings import Settings


def raise_error(_hidden: str, message: str) -> None:
    raise RuntimeError(message)


def test_json_logs_one_line_per_record_with_bound_values(log_stream: io.StringIO) -> None:
    configure_logging(Settings(log_format="json"), log_stream)
    with bound_contextvars(job="job_1", attempt=2):
        logging.getLogger("worker.attempt_supervisor").warning("%s fell\nsilent", "it")
    logging.getLogger("uvicorn.error").info(
        "started", extra={"color_message": "\x1b[1mstarted", "method": "GET"}
    )
    first, second = (json.loads(line) for line in log_stream.getvalue().splitlines())
    assert {name: first[name] for name in ("event", "level", "logger", "job", "attempt")} == {
        "event": "it fell\nsilent",
        "level": "warning",
        "logger": "worker.attempt_supervisor",
        "job": "job_1",
        "attempt": 2,
    }
    assert first["timestamp"].endswith("Z")
    assert second.keys() == {"event", "level", "logger", "timestamp", "method"}


def test_tracebacks_do_not_show_values_of_variables(log_stream: io.StringIO) -> None:
    for log_format in ("json", "console"):
        configure_logging(Settings(log_format=log_format), log_stream)  # type: ignore[arg-type] # a literal
        hidden = "a" + "value"
        try:
            raise_error(hidden, "broken")
        except RuntimeError:
            logging.getLogger("x").exception("failed")
        assert hidden not in log_stream.getvalue()
    assert log_stream.getvalue().count("RuntimeError: broken") == 2
    assert "Traceback" in json.loads(log_stream.getvalue().splitlines()[0])["exception"]


def test_records_below_the_level_are_dropped(log_stream: io.StringIO) -> None:
    configure_logging(Settings(log_level="WARNING"), log_stream)
    logging.getLogger("x").info("chatter")
    logging.getLogger("x").warning("news")
    assert "news" in log_stream.getvalue()
    assert "chatter" not in log_stream.getvalue()


@pytest.mark.parametrize(
    ("text", "masked"),
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
def test_only_secrets_are_masked(text: str, masked: str) -> None:
    assert mask_secrets(text) == masked


def test_a_secret_in_a_traceback_is_masked(log_stream: io.StringIO) -> None:
    for log_format in ("json", "console"):
        configure_logging(Settings(log_format=log_format), log_stream)  # type: ignore[arg-type] # a literal
        try:
            raise_error("", "cannot reach postgresql://dlkd:pa55@db")
        except RuntimeError:
            logging.getLogger("x").exception("with dlkd_0a1b2c3d_h1dden")
    assert "pa55" not in log_stream.getvalue()
    assert "h1dden" not in log_stream.getvalue()
