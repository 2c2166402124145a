"""Pages of rows, newest first. A cursor is opaque to clients; inside it is the last id that was shown."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

from registry.errors import CursorInvalid

MAX_LIMIT = 200
_NUMBER_LENGTH = 18  # what fits the database's integers
Row = TypeVar("Row")


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows, and the cursor of the next page or None at the end."""

    items: list[Row]
    next_cursor: str | None


def page_of(
    session: Session, query: Select[Row], key: InstrumentedAttribute[Any], *, limit: int, cursor: str | None
) -> Page[Row]:
    """The page after the cursor; a limit beyond the maximum means the maximum. `key` sorts by time, as ids and numbers do."""
    limit = max(1, min(limit, MAX_LIMIT))
    if cursor is not None:
        query = query.where(key < _decode(cursor, key.type.python_type))
    rows = list(session.execute(query.order_by(key.desc()).limit(limit + 1)).scalars())
    more = len(rows) > limit
    return Page(rows[:limit], _encode(getattr(rows[limit - 1], key.key)) if more else None)


def of_owner(query: Select[Row], column: InstrumentedAttribute[str], owner: str | None) -> Select[Row]:
    """The rows of that owner; of all where it is None."""
    return query if owner is None else query.where(column == owner)


def _encode(last: Any) -> str:
    return urlsafe_b64encode(str(last).encode()).decode().rstrip("=")


def _decode(cursor: str, kind: type) -> Any:
    try:
        last = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        return int(last[:_NUMBER_LENGTH]) if kind is int else last
    except (binascii.Error, ValueError) as error:
        raise CursorInvalid("This is not a cursor of this list.", pointer="/cursor") from error
