"""Column types that behave alike on SQLite and PostgreSQL."""

import math
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.types import DateTime, String, TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A timezone-aware UTC time. SQLite stores it as text that sorts by time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class PlainText(TypeDecorator[str]):
    """Text from clients. U+0000 is replaced with U+FFFD, because PostgreSQL cannot store it."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else _replace_nul(value)


def sanitize_json(value: Any) -> Any:
    """Return the JSON value after replacing everything that a database cannot store.

    NaN and infinities become null. U+0000 becomes U+FFFD.
    """
    if isinstance(value, str):
        return _replace_nul(value)
    if isinstance(value, dict):
        return {sanitize_json(key): sanitize_json(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [sanitize_json(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _replace_nul(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
