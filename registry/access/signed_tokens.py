"""HMAC signatures for download URLs.

All processes of the service share one signing key, which is created on first use.
"""

import hashlib
import hmac
import secrets

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.db.access_tables import Secret
from registry.db.database import now, upsert
from registry.errors import SignatureExpired, SignatureInvalid

_SECRET_NAME = "files"  # noqa: S105 - the name of the row, not a secret


def create_signature(session: Session, expires: int, *parts: str) -> str:
    """Return a signature of the strings `parts`, valid until the Unix timestamp `expires`."""
    row = {"name": _SECRET_NAME, "value": secrets.token_urlsafe(32)}
    upsert(session, Secret, [row], keys=["name"])
    return _compute_signature(_load_key(session), expires, parts)


def verify_signature(session: Session, signature: str, expires: int, *parts: str) -> None:
    """Verify a signature. Its expiry is checked against the database's clock.

    Raises:
        SignatureInvalid: The service did not make this signature for these parts.
        SignatureExpired: The signature has expired.
    """
    key = _load_key(session)
    if key is None or not hmac.compare_digest(
        _compute_signature(key, expires, parts).encode(), signature.encode()
    ):
        raise SignatureInvalid("The signature is not valid for this file.")
    if expires <= now(session).timestamp():
        raise SignatureExpired("The download URL has expired.")


def _load_key(session: Session) -> str | None:
    return session.execute(
        select(Secret.value).where(Secret.name == _SECRET_NAME)
    ).scalar_one_or_none()


def _compute_signature(key: str | None, expires: int, parts: tuple[str, ...]) -> str:
    if key is None:
        raise SignatureInvalid("The service has not created any signature yet.")
    message = "\0".join((str(expires), *parts))  # no part contains the separator
    return hmac.new(key.encode(), message.encode(), hashlib.sha256).hexdigest()
