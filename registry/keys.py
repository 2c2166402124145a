"""API keys: ``dlkd_<prefix>_<secret>``. Only the secret's hash is kept; the prefix finds the row and may be shown."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from registry.db import now
from registry.errors import KeyExpired, Unauthenticated
from registry.ids import new_id
from registry.tables import ApiKey, AuditEvent

_TOUCH_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Principal:
    """Who asks. `seen` is when the key was last noted as used, to the minute."""

    id: str
    name: str
    scopes: tuple[str, ...] = ()
    seen: datetime | None = None


def create(
    session: Session, *, name: str, scopes: tuple[str, ...] = (), expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """A new key: its row, and the key itself, which cannot be had again."""
    prefix, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    at = now(session)
    key = ApiKey(
        id=new_id("key"), name=name, prefix=prefix, hash=_hash(secret), scopes=list(scopes), created_at=at, expires_at=expires_at
    )
    session.add_all([key, AuditEvent(at=at, actor=key.id, action="key.created", subject=key.id, data={"name": name})])
    session.flush()
    return key, f"dlkd_{prefix}_{secret}"


def authenticate(session: Session, token: str) -> Principal:
    """Whose key it is; `Unauthenticated` or `KeyExpired` otherwise. Only reads."""
    _, _, rest = token.partition("dlkd_")
    prefix, _, secret = rest.partition("_")
    key = session.execute(select(ApiKey).where(ApiKey.prefix == prefix)).scalar_one_or_none()
    if not hmac.compare_digest(_hash(secret), key.hash if key else "") or key is None:
        raise Unauthenticated("This is not a key of this service.")
    if key.expires_at is not None and key.expires_at <= now(session):
        raise KeyExpired(f"The key {key.prefix} expired on {key.expires_at:%Y-%m-%d}.")
    return Principal(key.id, key.name, tuple(key.scopes), key.last_used_at)


def touch(session: Session, principal: Principal) -> None:
    """Notes the key's use. Worth a transaction only where `due` says so."""
    session.execute(update(ApiKey).where(ApiKey.id == principal.id).values(last_used_at=now(session)))


def due(principal: Principal, at: datetime) -> bool:
    """Whether the note of the last use is more than a minute old."""
    return principal.seen is None or at - principal.seen > _TOUCH_EVERY


def any_exists(session: Session) -> bool:
    """Whether the service has a key at all; without one it makes its first and shows it."""
    return session.execute(select(ApiKey.id).limit(1)).first() is not None


def _hash(secret: str) -> str:
    # 32 random bytes need no slow hash: they cannot be guessed, salted or not.
    return hashlib.sha256(secret.encode()).hexdigest()
