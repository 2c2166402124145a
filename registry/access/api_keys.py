"""API keys of the form ``dlkd_<prefix>_<secret>``.

Only the hash of the secret is stored. The prefix identifies the row and is not secret.
"""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from registry.access import audit
from registry.access.permissions import Principal, Role
from registry.db import pagination
from registry.db.access_tables import ApiKey, BrowserSession
from registry.db.database import filter_equal, lock_row, now, require_row
from registry.db.ids import new_id
from registry.errors import (
    KeyExpired,
    KeyInactive,
    KeyRevoked,
    LastAdmin,
    Unauthenticated,
)

KEY_PREFIX = "dlkd_"
_USE_INTERVAL = timedelta(minutes=1)


def create(  # noqa: PLR0913 - the columns of a key
    session: Session,
    *,
    name: str,
    role: Role = Role.ADMIN,
    owner: str | None = None,
    scopes: tuple[str, ...] = (),
    expires_at: datetime | None = None,
    actor: str | None = None,
) -> tuple[ApiKey, str]:
    """Create a key and return its row and the key itself, which cannot be recovered later.

    Args:
        session: The caller's transaction.
        name: Display name.
        role: Role of the key. The default is meant for commands on the service's own machine. The
            API always passes a role.
        owner: Owner of the rows that the key creates. If None, the key owns them itself.
        scopes: Scopes that the key may use. If empty, it may use all that its role allows.
        expires_at: Time from which the key is invalid. If None, it never expires.
        actor: Principal that the audit log names as the creator. If None, it names the key itself.
    """
    prefix, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    key_id = new_id("key")
    key = ApiKey(
        id=key_id,
        name=name,
        role=role,
        owner=owner or key_id,
        prefix=prefix,
        hash=hash_token(secret),
        scopes=list(scopes),
        created_at=now(session),
        expires_at=expires_at,
    )
    session.add(key)
    audit.record_event(
        session,
        actor or key_id,
        "key.created",
        key_id,
        name=name,
        role=str(role),
        owner=key.owner,
        scopes=list(scopes),
    )
    session.flush()
    return key, f"{KEY_PREFIX}{prefix}_{secret}"


def authenticate(session: Session, token: str) -> Principal:
    """Return the principal that the key identifies. Nothing is written.

    Raises:
        Unauthenticated: There is no such key.
        KeyRevoked: The key was revoked.
        KeyExpired: The key has expired.
    """
    _, _, rest = token.partition(KEY_PREFIX)
    prefix, _, secret = rest.partition("_")
    key = session.execute(select(ApiKey).where(ApiKey.prefix == prefix)).scalar_one_or_none()
    at = now(session)
    if not _secret_matches(key, hash_token(secret), at) or key is None:
        raise Unauthenticated("The API key is not valid for this service.")
    return principal_of(key, at)


def principal_of(key: ApiKey, at: datetime) -> Principal:
    """Return the principal that the key identifies.

    Raises:
        KeyRevoked: The key was revoked.
        KeyExpired: The key has expired.
    """
    if key.revoked_at is not None:
        raise KeyRevoked(f"The API key {key.prefix} was revoked on {key.revoked_at:%Y-%m-%d}.")
    if key.expires_at is not None and key.expires_at <= at:
        raise KeyExpired(f"The API key {key.prefix} expired on {key.expires_at:%Y-%m-%d}.")
    return Principal(
        key.id,
        key.name,
        Role(key.role),
        key.owner,
        tuple(key.scopes),
        key.last_used_at,
        key.expires_at,
    )


def _secret_matches(key: ApiKey | None, digest: str, at: datetime) -> bool:
    # Always compare both secrets, so that the response time reveals nothing.
    is_current = hmac.compare_digest(digest, key.hash if key else "")
    is_old = hmac.compare_digest(digest, (key.old_hash if key else None) or "")
    is_old_valid = key is not None and key.old_until is not None and key.old_until > at
    return is_current or (is_old and is_old_valid)


def record_use(session: Session, principal: Principal) -> None:
    """Store the time of the key's last use. Call it only if `is_use_due` returns True."""
    session.execute(
        update(ApiKey).where(ApiKey.id == principal.id).values(last_used_at=now(session))
    )


def is_use_due(principal: Principal, at: datetime) -> bool:
    """Return whether the stored time of the last use is more than a minute old."""
    return principal.last_used_at is None or at - principal.last_used_at > _USE_INTERVAL


def any_exists(session: Session) -> bool:
    """Return whether any key exists. The service creates a first key if none does."""
    return session.execute(select(ApiKey.id).limit(1)).first() is not None


def get(session: Session, key_id: str) -> ApiKey:
    """Return the key's row.

    Raises:
        NotFound: There is no such key.
    """
    return require_row(session.get(ApiKey, key_id), f"API key {key_id}")


def list_page(
    session: Session, *, owner: str | None = None, limit: int = 50, cursor: str | None = None
) -> pagination.Page[ApiKey]:
    """Return a page of keys, newest first, including revoked and expired ones."""
    return pagination.paginate(
        session,
        filter_equal(select(ApiKey), (ApiKey.owner, owner)),
        ApiKey.id,
        limit=limit,
        cursor=cursor,
    )


def rotate(session: Session, key_id: str, *, actor: str, grace: timedelta) -> tuple[ApiKey, str]:
    """Give the key a new secret and return its row and the new key, which is shown once.

    The previous secret stays valid for the grace period. Older ones become invalid at once, and
    browsers that signed in with the key are signed out.

    Raises:
        NotFound: There is no such key.
        KeyInactive: The key was revoked or has expired.
    """
    key = _lock_active(session, key_id)
    secret = secrets.token_urlsafe(32)
    key.old_hash, key.old_until = key.hash, now(session) + grace
    key.hash = hash_token(secret)
    # Whoever knew the old secret may have signed in with it.
    session.execute(delete(BrowserSession).where(BrowserSession.key_id == key_id))
    audit.record_event(session, actor, "key.rotated", key_id, old_until=key.old_until.isoformat())
    session.flush()
    return key, f"{KEY_PREFIX}{key.prefix}_{secret}"


def revoke(session: Session, key_id: str, *, actor: str) -> ApiKey:
    """Revoke the key at once. Its row stays, because other rows refer to it.

    Revoking a key twice has no further effect.

    Raises:
        NotFound: There is no such key.
        LastAdmin: It is the only valid key with the admin role.
    """
    _refuse_last_admin(session, get(session, key_id))
    key = _lock_key(session, key_id)
    if key.revoked_at is None:
        key.revoked_at = now(session)
        session.execute(delete(BrowserSession).where(BrowserSession.key_id == key_id))
        audit.record_event(session, actor, "key.revoked", key_id)
        session.flush()
    return key


def hash_token(token: str) -> str:
    """Return the hash under which a random secret is stored.

    A fast hash without salt is enough, because 32 random bytes cannot be guessed.
    """
    return hashlib.sha256(token.encode()).hexdigest()


def _refuse_last_admin(session: Session, key: ApiKey) -> None:
    if key.role != Role.ADMIN or key.revoked_at is not None:
        return
    is_unexpired = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now(session))
    # Lock all admin keys, so that two admins who revoke each other's keys cannot both succeed.
    admin_keys = (
        select(ApiKey.id)
        .where(ApiKey.role == Role.ADMIN, ApiKey.revoked_at.is_(None), is_unexpired)
        .order_by(ApiKey.id)
        .with_for_update()
    )
    if not set(session.execute(admin_keys).scalars()) - {key.id}:
        raise LastAdmin(f"{key.id} cannot be revoked. It is the only API key with the admin role.")


def _lock_active(session: Session, key_id: str) -> ApiKey:
    key = _lock_key(session, key_id)
    is_expired = key.expires_at is not None and key.expires_at <= now(session)
    if key.revoked_at is not None or is_expired:
        raise KeyInactive(f"The API key {key_id} was revoked or has expired.")
    return key


def _lock_key(session: Session, key_id: str) -> ApiKey:
    key = lock_row(session, select(ApiKey).where(ApiKey.id == key_id))
    return require_row(key, f"API key {key_id}")
