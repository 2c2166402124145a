"""Cursor pagination of rows, newest first.

A cursor is opaque to clients. It encodes the sort key of the last row of the previous page.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

from registry.errors import CursorInvalid

MAX_LIMIT = 200
_MAX_DIGITS = 18  # every number of this length fits a 64-bit integer
RowT = TypeVar("RowT")


@dataclass(frozen=True)
class Page(Generic[RowT]):
    """One page of rows. `next_cursor` leads to the next page and is None on the last page."""

    items: list[RowT]
    next_cursor: str | None


def paginate(
    session: Session,
    query: Select[RowT],
    key: InstrumentedAttribute[Any],
    *,
    limit: int,
    cursor: str | None,
) -> Page[RowT]:
    """Return the page that follows the cursor, or the first page if there is no cursor.

    Args:
        session: The session to read from.
        query: Query that selects the rows of all pages.
        key: Column to sort by. Its values must be unique, and must grow
            with time if the newest rows are to come first.
        limit: Maximum number of rows, capped at `MAX_LIMIT`.
        cursor: `next_cursor` of the previous page, or None for the first page.

    Raises:
        CursorInvalid: The cursor does not belong to this list.
    """
    limit = max(1, min(limit, MAX_LIMIT))
    if cursor is not None:
        query = query.where(key < _decode_cursor(cursor, key.type.python_type))
    rows = list(session.execute(query.order_by(key.desc()).limit(limit + 1)).scalars())
    has_more = len(rows) > limit
    next_cursor = _encode_cursor(getattr(rows[limit - 1], key.key)) if has_more else None
    return Page(rows[:limit], next_cursor)


def _encode_cursor(key: Any) -> str:
    return urlsafe_b64encode(str(key).encode()).decode().rstrip("=")


def _decode_cursor(cursor: str, kind: type) -> Any:
    try:
        key = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        return int(key[:_MAX_DIGITS]) if kind is int else key
    except (binascii.Error, ValueError) as error:
        raise CursorInvalid(
            "The cursor does not belong to this list.", pointer="/cursor"
        ) from error
