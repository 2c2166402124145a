"""Idempotency keys: a repeated request is not executed again, but gets the stored response."""

import hashlib
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from registry.access.permissions import Principal
from registry.db.access_tables import IdempotencyKey
from registry.db.database import now, upsert
from registry.errors import IdempotencyKeyReused

DEFAULT_TTL = timedelta(days=1)


def replay(
    session: Session, principal: Principal, key: str, body: bytes, *, ttl: timedelta = DEFAULT_TTL
) -> dict[str, Any] | None:
    """Return the request's stored response, or reserve the key and return None if the key is new.

    If the first request is still being processed, a repeated one waits for its transaction to end.

    Raises:
        IdempotencyKeyReused: The key was used with another request body.
    """
    digest, at = hashlib.sha256(body).hexdigest(), now(session)
    session.execute(
        delete(IdempotencyKey).where(
            IdempotencyKey.principal == principal.id, IdempotencyKey.expires_at <= at
        )
    )
    new_row = {
        "principal": principal.id,
        "key": key,
        "body_hash": digest,
        "response": None,
        "expires_at": at + ttl,
    }
    if upsert(session, IdempotencyKey, [new_row], keys=["principal", "key"]):
        return None
    row = _get_row(session, principal, key)
    if row.body_hash != digest:
        raise IdempotencyKeyReused(
            f"The Idempotency-Key {key!r} was already used for a different request."
        )
    return row.response


def save_response(
    session: Session, principal: Principal, key: str, response: dict[str, Any]
) -> None:
    """Store the response. Call this in the transaction that reserved the key."""
    _get_row(session, principal, key).response = response


def prune(session: Session) -> None:
    """Delete expired keys and their responses."""
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.expires_at <= now(session)))


def _get_row(session: Session, principal: Principal, key: str) -> IdempotencyKey:
    query = select(IdempotencyKey).where(
        IdempotencyKey.principal == principal.id, IdempotencyKey.key == key
    )
    return session.execute(query).scalar_one()
