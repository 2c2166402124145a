"""API keys and the identity of the caller."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from api.deps import Caller, IdempotencyKey, PageCursor, PageLimit, ServicesDep
from api.responses import with_location
from api.schemas.access_schemas import CallerOut, KeyOut, KeyRequest, NewKeyOut, RotateKeyRequest
from api.schemas.base import Page
from api.transactions import QueueHints, fingerprint, run_idempotent
from registry.access import api_keys
from registry.db.access_tables import ApiKey

PATH = "/v1/keys"
router = APIRouter(prefix="/v1", tags=["keys"])


@router.get("/me", operation_id="get_me", summary="Get Current Caller")
def get_me(caller: Caller) -> CallerOut:
    """Get the name, role, owner and scopes of the caller."""
    return CallerOut.model_validate(caller)


@router.post(
    "/keys",
    operation_id="create_key",
    summary="Create API Key",
    status_code=201,
    response_model=NewKeyOut,
)
def create_key(
    body: KeyRequest,
    response: Response,
    services: ServicesDep,
    caller: Caller,
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """Create an API key.

    Only this response contains the secret, because the service stores only its hash.
    """

    def create(session: Session, _hints: QueueHints) -> NewKeyOut:
        row, secret = api_keys.create(
            session, actor=caller.id, **{**body.model_dump(), "scopes": tuple(body.scopes)}
        )
        return _key_with_secret(row, secret)

    key = run_idempotent(
        services,
        caller,
        idempotency_key,
        fingerprint("key", body.model_dump_json()),
        create,
        unstored_field="key",
    )
    return with_location(response, PATH, key)


@router.get("/keys", operation_id="list_keys", summary="List API Keys")
def list_keys(
    services: ServicesDep,
    owner: Annotated[str | None, Query(description="List only the keys of this owner.")] = None,
    limit: PageLimit = 50,
    cursor: PageCursor = None,
) -> Page[KeyOut]:
    """List API keys, newest first, including revoked and expired ones."""
    with services.database.read() as session:
        return Page[KeyOut].model_validate(
            api_keys.list_page(session, owner=owner, limit=limit, cursor=cursor)
        )


@router.get("/keys/{key_id}", operation_id="get_key", summary="Get API Key")
def get_key(key_id: str, services: ServicesDep) -> KeyOut:
    """Get an API key, without its secret."""
    with services.database.read() as session:
        return KeyOut.model_validate(api_keys.get(session, key_id))


@router.post(
    "/keys/{key_id}/rotate",
    operation_id="rotate_key",
    summary="Rotate API Key",
    response_model=NewKeyOut,
)
def rotate_key(
    key_id: str,
    services: ServicesDep,
    caller: Caller,
    body: RotateKeyRequest | None = None,
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """Replace the secret of an API key. The previous secret stays valid for the grace period."""
    grace_seconds = (body or RotateKeyRequest()).grace_seconds

    def rotate(session: Session, _hints: QueueHints) -> NewKeyOut:
        row, secret = api_keys.rotate(
            session, key_id, actor=caller.id, grace=timedelta(seconds=grace_seconds)
        )
        return _key_with_secret(row, secret)

    return run_idempotent(
        services,
        caller,
        idempotency_key,
        fingerprint("rotate", key_id, grace=grace_seconds),
        rotate,
        unstored_field="key",
    )


@router.post(
    "/keys/{key_id}/revoke",
    operation_id="revoke_key",
    summary="Revoke API Key",
    response_model=KeyOut,
)
def revoke_key(
    key_id: str, services: ServicesDep, caller: Caller, idempotency_key: IdempotencyKey = None
) -> Any:
    """Revoke an API key immediately and permanently. The last admin key cannot be revoked."""

    def revoke(session: Session, _hints: QueueHints) -> KeyOut:
        return KeyOut.model_validate(api_keys.revoke(session, key_id, actor=caller.id))

    return run_idempotent(services, caller, idempotency_key, fingerprint("revoke", key_id), revoke)


def _key_with_secret(row: ApiKey, secret: str) -> NewKeyOut:
    return NewKeyOut(**KeyOut.model_validate(row).model_dump(), key=secret)
