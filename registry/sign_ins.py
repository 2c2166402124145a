"""Browsers that are signed in. The cookie is random and only its hash is kept; it opens what its key does, while that is good."""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from registry import keys
from registry.access import Principal, Role
from registry.access_tables import SignIn
from registry.db import now
from registry.errors import SessionEnded
from registry.tables import ApiKey, AuditEvent


def begin(session: Session, principal: Principal, *, lasts: timedelta) -> tuple[str, datetime]:
    """Signs a browser in: its cookie, and until when that is good. Never longer than what it was signed in with."""
    token, at = secrets.token_urlsafe(32), now(session)
    ends = min(at + lasts, principal.expires_at or at + lasts)
    key = session.get(ApiKey, principal.id)
    session.execute(delete(SignIn).where(SignIn.expires_at <= at))
    session.add(
        SignIn(
            hash=_hash(token),
            key_id=key and key.id,
            principal=principal.id,
            name=principal.name,
            role=principal.role,
            owner=principal.owner,
            created_at=at,
            expires_at=ends,
        )
    )
    _note(session, principal, "began", ends=ends.isoformat())
    return token, ends


def authenticate(session: Session, token: str) -> Principal:
    """Who is signed in with that cookie; `SessionEnded`, `KeyRevoked` or `KeyExpired` otherwise. Only reads."""
    row, at = session.get(SignIn, _hash(token)), now(session)
    if row is None or row.expires_at <= at:
        raise SessionEnded("You are not signed in, or no longer.")
    if row.key_id is None:
        return Principal(row.principal, row.name, Role(row.role), row.owner, expires_at=row.expires_at)
    return keys.principal_of(keys.get(session, row.key_id), at)


def ends_at(session: Session, token: str) -> datetime | None:
    """Until when the cookie is good; None: it is not."""
    row = session.get(SignIn, _hash(token))
    return None if row is None else row.expires_at


def end(session: Session, token: str, *, actor: Principal) -> None:
    """The cookie opens nothing any more. Twice is once."""
    row = session.get(SignIn, _hash(token))
    if row is not None:
        session.delete(row)
        _note(session, actor, "ended")


def csrf_token(token: str) -> str:
    """What a page of ours must show beside the cookie: pages of others can send the cookie along, but cannot read this."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _note(session: Session, principal: Principal, verb: str, **data: object) -> None:
    action = f"session.{verb}"
    session.add(AuditEvent(at=now(session), actor=principal.id, action=action, subject=principal.id, data=dict(data)))
