"""Reference tables of error codes and settings."""

from collections.abc import Iterator
from typing import Any, TypeVar

from starlette.exceptions import HTTPException

from api import problems
from dlkd_core.errors import DistillationError
from docs.generators.markdown_tables import describe_type, json_code, markdown_table
from registry.errors import LeaseLost, RegistryError
from registry.settings import Settings

ErrorType = TypeVar("ErrorType", type[RegistryError], type[DistillationError])
_FRAMEWORK_STATUSES = (400, 404, 405, 412, 413, 415, 416)
_ENV_PREFIX = Settings.model_config["env_prefix"]
# Defaults that are computed at startup.
_COMPUTED_DEFAULTS = {
    "worker_name": "the host name",
    "database_url": "SQLite in the data folder",
    "broker_url": "files in the data folder",
    "store_url": "a folder in the data folder",
}


def run_errors() -> str:
    """Return the table of error codes for failed jobs and checks."""
    rows = (
        (
            f"`{error.code}`",
            _title_of(error),
            _escape_html(error.default_hint),
            "yes" if error.retryable else "no",
        )
        for error in _walk_subclasses(DistillationError)
    )
    return markdown_table(("code", "error", "what to do", "retried"), rows)


def http_errors() -> str:
    """Return the table of error codes for rejected requests, with HTTP statuses."""
    errors = [
        (
            problems.problem_from_error(error("")).status,
            error.code,
            _title_of(error),
            error.default_hint,
        )
        for error in _walk_subclasses(RegistryError)
    ]
    for status in _FRAMEWORK_STATUSES:
        problem = problems.problem_from_http_exception(HTTPException(status), "GET", "/v1/path")
        errors.append((status, problem.code, problem.title, problem.hint))
    errors.append(
        (
            422,
            "request_invalid",
            "The request does not match its schema",
            "Correct the fields listed in errors.",
        )
    )
    errors.append(
        (
            500,
            "internal",
            "Internal error",
            "Try again. If the error persists, contact the operator.",
        )
    )
    rows = (
        (str(status), f"`{code}`", title, _escape_html(hint))
        for status, code, title, hint in sorted(errors)
    )
    return markdown_table(("status", "code", "error", "what to do"), rows)


def settings_table() -> str:
    """Return the table of all settings with defaults, limits and descriptions."""
    rows = (
        (
            f"`{_ENV_PREFIX}{name.upper()}`",
            _default_of(name, field),
            describe_type(field),
            field.get("description", ""),
        )
        for name, field in Settings.model_json_schema()["properties"].items()
    )
    return markdown_table(("setting", "default", "type and limits", "description"), rows)


def _walk_subclasses(root: ErrorType) -> Iterator[ErrorType]:
    """Yield an error class and its subclasses, except LeaseLost, which only the worker sees."""
    yield root
    for child in root.__subclasses__():
        if child is not LeaseLost:
            yield from _walk_subclasses(child)


def _title_of(error: type[Exception]) -> str:
    """Return the class name as separate words."""
    words = "".join(
        f" {letter.lower()}" if letter.isupper() else letter for letter in error.__name__
    )
    return words.strip().capitalize()


def _escape_html(hint: str) -> str:
    """Escape angle brackets outside of inline code."""
    parts = hint.split("`")  # every second part is inline code
    return "`".join(
        part if index % 2 else part.replace("<", "&lt;") for index, part in enumerate(parts)
    )


def _default_of(name: str, field: dict[str, Any]) -> str:
    if name in _COMPUTED_DEFAULTS:
        return _COMPUTED_DEFAULTS[name]
    if "default" in field and field["default"] is None:
        return "none"
    return json_code(field.get("default", {}))
