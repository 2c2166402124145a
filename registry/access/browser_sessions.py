"""Sessions of signed-in browsers.

The cookie holds a random token. Only the token's hash is stored. The token grants the same access
as the key that was used to sign in, as long as that key is valid.
"""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from registry.access import api_keys, audit
from registry.access.api_keys import hash_token
from registry.access.permissions import Principal, Role
from registry.db.access_tables import ApiKey, BrowserSession
from registry.db.database import now
from registry.errors import SessionEnded


def create_session(
    session: Session, principal: Principal, *, lifetime: timedelta
) -> tuple[str, datetime]:
    """Sign a browser in and return the cookie's token and expiry time.

    The session never outlives the credentials that were used to sign in.
    """
    token, at = secrets.token_urlsafe(32), now(session)
    expires_at = min(at + lifetime, principal.expires_at or at + lifetime)
    key = session.get(ApiKey, principal.id)
    session.execute(delete(BrowserSession).where(BrowserSession.expires_at <= at))
    session.add(
        BrowserSession(
            hash=hash_token(token),
            key_id=key and key.id,
            principal=principal.id,
            name=principal.name,
            role=principal.role,
            owner=principal.owner,
            created_at=at,
            expires_at=expires_at,
        )
    )
    audit.record_event(
        session, principal.id, "session.began", principal.id, ends=expires_at.isoformat()
    )
    return token, expires_at


def authenticate(session: Session, token: str) -> Principal:
    """Return the principal that the session's token identifies. Nothing is written.

    Raises:
        SessionEnded: There is no such session, or it has expired.
        KeyRevoked: The key that was used to sign in was revoked.
        KeyExpired: The key that was used to sign in has expired.
    """
    row, at = session.get(BrowserSession, hash_token(token)), now(session)
    if row is None or row.expires_at <= at:
        raise SessionEnded("You are not signed in, or your session has ended.")
    if row.key_id is None:
        return Principal(
            row.principal, row.name, Role(row.role), row.owner, expires_at=row.expires_at
        )
    return api_keys.principal_of(api_keys.get(session, row.key_id), at)


def get_expiry(session: Session, token: str) -> datetime | None:
    """Return when the session expires, or None if there is no such session."""
    row = session.get(BrowserSession, hash_token(token))
    return None if row is None else row.expires_at


def end_session(session: Session, token: str, *, actor: Principal) -> None:
    """Sign the browser out. Has no effect if the session has already ended."""
    row = session.get(BrowserSession, hash_token(token))
    if row is not None:
        session.delete(row)
        audit.record_event(session, actor.id, "session.ended", actor.id)


def derive_csrf_token(token: str) -> str:
    """Return the token that the portal must send in addition to the cookie.

    Pages on other sites can make the browser send the cookie, but they cannot read this token.
    """
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()
