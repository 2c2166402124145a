"""Signed words: who shows them was given them by the service. One key for all its processes, made when it is first needed."""

import hashlib
import hmac
import secrets

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.db import now, upsert
from registry.errors import SignatureExpired, SignatureInvalid
from registry.model_tables import Secret

_NAME = "files"


def sign(session: Session, expires: int, *words: str) -> str:
    """The signature of the words until `expires`, in seconds since 1970."""
    row = {"name": _NAME, "value": secrets.token_urlsafe(32)}
    upsert(session, Secret, [row], keys=["name"])
    return _signature(_key(session), expires, words)


def check(session: Session, signature: str, expires: int, *words: str) -> None:
    """Raises `SignatureInvalid` or, by the database's clock, `SignatureExpired`."""
    key = _key(session)
    if key is None or not hmac.compare_digest(_signature(key, expires, words).encode(), signature.encode()):
        raise SignatureInvalid("The signature is not one of this service for this file.")
    if expires <= now(session).timestamp():
        raise SignatureExpired("The address was good until a while ago.")


def _key(session: Session) -> str | None:
    return session.execute(select(Secret.value).where(Secret.name == _NAME)).scalar_one_or_none()


def _signature(key: str | None, expires: int, words: tuple[str, ...]) -> str:
    if key is None:
        raise SignatureInvalid("This service has signed nothing yet.")
    said = "\0".join((str(expires), *words))  # no word of ours holds that character
    return hmac.new(key.encode(), said.encode(), hashlib.sha256).hexdigest()
