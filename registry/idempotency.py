"""``Idempotency-Key``: a request that is sent twice is done once, and answered twice with the same words."""

import hashlib
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from registry.db import now, upsert
from registry.errors import IdempotencyKeyReused
from registry.keys import Principal
from registry.tables import IdempotencyKey

KEPT = timedelta(days=1)


def replay(session: Session, principal: Principal, key: str, body: bytes, *, kept: timedelta = KEPT) -> dict[str, Any] | None:
    """The answer that the same request got before; None where it is new, and the key then is taken.

    A second request that comes while the first is being done waits for the first's transaction.
    `IdempotencyKeyReused` where the key came with another body.
    """
    digest, at = hashlib.sha256(body).hexdigest(), now(session)
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.principal == principal.id, IdempotencyKey.expires_at <= at))
    row = {"principal": principal.id, "key": key, "body_hash": digest, "response": None, "expires_at": at + kept}
    if upsert(session, IdempotencyKey, [row], keys=["principal", "key"]):
        return None
    known = _find(session, principal, key)
    if known.body_hash != digest:
        raise IdempotencyKeyReused(f"The Idempotency-Key {key!r} came before with another request.")
    return known.response


def remember(session: Session, principal: Principal, key: str, response: dict[str, Any]) -> None:
    """Keeps the answer of the request that took the key, in the transaction that took it."""
    _find(session, principal, key).response = response


def prune(session: Session) -> None:
    """Forgets the answers whose time is over."""
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.expires_at <= now(session)))


def _find(session: Session, principal: Principal, key: str) -> IdempotencyKey:
    mine = select(IdempotencyKey).where(IdempotencyKey.principal == principal.id, IdempotencyKey.key == key)
    return session.execute(mine).scalar_one()
