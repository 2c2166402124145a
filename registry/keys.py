"""API keys: ``dlkd_<prefix>_<secret>``. Only the secret's hash is kept; the prefix finds the row and may be shown."""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from registry import paging
from registry.access import Principal, Role
from registry.access_tables import SignIn
from registry.db import now
from registry.errors import KeyEnded, KeyExpired, KeyRevoked, LastAdmin, NotFound, Unauthenticated
from registry.ids import new_id
from registry.tables import ApiKey, AuditEvent

__all__ = ["ApiKey", "Principal"]
PREFIX = "dlkd_"
_TOUCH_EVERY = timedelta(minutes=1)


def create(  # noqa: PLR0913 - a key's facts, each by its name
    session: Session,
    *,
    name: str,
    role: Role = Role.ADMIN,
    owner: str | None = None,
    scopes: tuple[str, ...] = (),
    expires_at: datetime | None = None,
    actor: str | None = None,
) -> tuple[ApiKey, str]:
    """A new key: its row, and the key itself, which cannot be had again. Without an owner it is its own.

    The default role is that of whoever has the machine: the API names one always.
    """
    prefix, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    key_id = new_id("key")
    key = ApiKey(
        id=key_id,
        name=name,
        role=role,
        owner=owner or key_id,
        prefix=prefix,
        hash=_hash(secret),
        scopes=list(scopes),
        created_at=now(session),
        expires_at=expires_at,
    )
    session.add(key)
    _note(session, key, "created", actor or key_id, name=name, role=str(role), owner=key.owner, scopes=list(scopes))
    return key, _whole(prefix, secret)


def authenticate(session: Session, token: str) -> Principal:
    """Whose key it is; `Unauthenticated`, `KeyRevoked` or `KeyExpired` otherwise. Only reads."""
    _, _, rest = token.partition(PREFIX)
    prefix, _, secret = rest.partition("_")
    key = session.execute(select(ApiKey).where(ApiKey.prefix == prefix)).scalar_one_or_none()
    at = now(session)
    if not _opens(key, _hash(secret), at) or key is None:
        raise Unauthenticated("This is not a key of this service.")
    return principal_of(key, at)


def principal_of(key: ApiKey, at: datetime) -> Principal:
    """Whom the key stands for, as long as it is good; `KeyRevoked` or `KeyExpired` otherwise."""
    if key.revoked_at is not None:
        raise KeyRevoked(f"The key {key.prefix} was revoked on {key.revoked_at:%Y-%m-%d}.")
    if key.expires_at is not None and key.expires_at <= at:
        raise KeyExpired(f"The key {key.prefix} expired on {key.expires_at:%Y-%m-%d}.")
    return Principal(key.id, key.name, Role(key.role), key.owner, tuple(key.scopes), key.last_used_at, key.expires_at)


def _opens(key: ApiKey | None, digest: str, at: datetime) -> bool:
    """Both secrets are compared whatever the first says: time tells nothing."""
    new = hmac.compare_digest(digest, key.hash if key else "")
    old = hmac.compare_digest(digest, (key.old_hash if key else None) or "")
    return new or (old and key is not None and key.old_until is not None and key.old_until > at)


def touch(session: Session, principal: Principal) -> None:
    """Notes the key's use. Worth a transaction only where `due` says so."""
    session.execute(update(ApiKey).where(ApiKey.id == principal.id).values(last_used_at=now(session)))


def due(principal: Principal, at: datetime) -> bool:
    """Whether the note of the last use is more than a minute old."""
    return principal.seen is None or at - principal.seen > _TOUCH_EVERY


def any_exists(session: Session) -> bool:
    """Whether the service has a key at all; without one it makes its first and shows it."""
    return session.execute(select(ApiKey.id).limit(1)).first() is not None


def get(session: Session, key_id: str) -> ApiKey:
    """The key's row, or `NotFound`."""
    key = session.get(ApiKey, key_id)
    if key is None:
        raise NotFound(f"There is no key {key_id}.")
    return key


def page(session: Session, *, owner: str | None = None, limit: int = 50, cursor: str | None = None) -> paging.Page[ApiKey]:
    """Keys, newest first, those revoked and expired too."""
    return paging.page_of(session, paging.of_owner(select(ApiKey), ApiKey.owner, owner), ApiKey.id, limit=limit, cursor=cursor)


def rotate(session: Session, key_id: str, *, actor: str, grace: timedelta) -> tuple[ApiKey, str]:
    """Another secret for the key, shown once; the one of before is good for the grace, one from before that no more."""
    key = _living(session, key_id)
    secret = secrets.token_urlsafe(32)
    key.old_hash, key.old_until = key.hash, now(session) + grace
    key.hash = _hash(secret)
    session.execute(delete(SignIn).where(SignIn.key_id == key_id))  # whoever knew the old secret may have signed in by it
    _note(session, key, "rotated", actor, old_until=key.old_until.isoformat())
    return key, _whole(key.prefix, secret)


def revoke(session: Session, key_id: str, *, actor: str) -> ApiKey:
    """The key opens nothing any more; its row stays, for what was done with it. Twice is once. Not the last admin's."""
    _refuse_last_admin(session, get(session, key_id))
    key = _locked(session, key_id)
    if key.revoked_at is None:
        key.revoked_at = now(session)
        session.execute(delete(SignIn).where(SignIn.key_id == key_id))
        _note(session, key, "revoked", actor)
    return key


def _refuse_last_admin(session: Session, key: ApiKey) -> None:
    if key.role != Role.ADMIN or key.revoked_at is not None:
        return
    good = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now(session))
    # Locked, all of them and first: of two admins who revoke each other at once, one is left.
    admins = select(ApiKey.id).where(ApiKey.role == Role.ADMIN, ApiKey.revoked_at.is_(None), good).order_by(ApiKey.id)
    if not set(session.execute(admins.with_for_update()).scalars()) - {key.id}:
        raise LastAdmin(f"{key.id} is the only key of an admin.")


def _living(session: Session, key_id: str) -> ApiKey:
    key = _locked(session, key_id)
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now(session)):
        raise KeyEnded(f"The key {key_id} was revoked or has expired.")
    return key


def _locked(session: Session, key_id: str) -> ApiKey:
    get(session, key_id)
    mine = select(ApiKey).where(ApiKey.id == key_id).with_for_update().execution_options(populate_existing=True)
    return session.execute(mine).scalar_one()


def _note(session: Session, key: ApiKey, verb: str, actor: str, **data: object) -> None:
    session.add(AuditEvent(at=now(session), actor=actor, action=f"key.{verb}", subject=key.id, data=dict(data)))
    session.flush()


def _whole(prefix: str, secret: str) -> str:
    return f"{PREFIX}{prefix}_{secret}"


def _hash(secret: str) -> str:
    # 32 random bytes need no slow hash: they cannot be guessed, salted or not.
    return hashlib.sha256(secret.encode()).hexdigest()
