"""Who asks, told by the Authorization header: a key of the service, or a token of the issuer that it trusts."""

from datetime import UTC, datetime

from api.issuer import Issuer
from registry import keys
from registry.access import Principal
from registry.db import Database
from registry.errors import Unauthenticated


def bearer_of(header: str) -> str:
    """The token of `Authorization: Bearer <token>`; `Unauthenticated` where there is none."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("This path needs a key.")
    return token.strip()


def verify(database: Database, header: str, issuer: Issuer | None = None) -> Principal:
    """Whose key or token the header carries; a key's use is noted, at most once a minute."""
    token = bearer_of(header)
    if issuer is not None and not token.startswith(keys.PREFIX):
        return issuer.principal(token)
    with database.read() as session:
        principal = keys.authenticate(session, token)
    if keys.due(principal, datetime.now(UTC)):
        with database.write() as session:
            keys.touch(session, principal)
    return principal
