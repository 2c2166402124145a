"""Keys, as admins make and end them; and who asks."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from api.access_schemas import KeyForm, KeyOut, MeOut, NewKeyOut, RotateForm
from api.changes import Hints, change, described
from api.deps import Caller, Cursor, Limit, Once, Parts
from api.schemas import Page
from registry import keys
from registry.tables import ApiKey

PATH = "/v1/keys"
router = APIRouter(prefix="/v1", tags=["keys"])


@router.get("/me", operation_id="get_me")
def get_me(caller: Caller) -> MeOut:
    """Who asks: name, role, owner and scopes."""
    return MeOut.model_validate(caller)


@router.post("/keys", operation_id="create_key", status_code=201, response_model=NewKeyOut)
def create_key(form: KeyForm, response: Response, parts: Parts, caller: Caller, key: Once = None) -> Any:
    """Makes a key. The answer holds it, this once: the service keeps its hash alone."""

    def add(session: Session, _hints: Hints) -> NewKeyOut:
        made = keys.create(session, actor=caller.id, **{**form.model_dump(), "scopes": tuple(form.scopes)})
        return _shown(*made)

    made = change(parts, caller, key, described("key", form.model_dump_json()), add, once="key")
    response.headers["Location"] = f"{PATH}/{made['id']}"
    return made


@router.get("/keys", operation_id="list_keys")
def list_keys(parts: Parts, owner: str | None = None, limit: Limit = 50, cursor: Cursor = None) -> Page[KeyOut]:
    """Keys, newest first, of one owner or of all; those revoked and expired too."""
    with parts.database.read() as session:
        return Page[KeyOut].model_validate(keys.page(session, owner=owner, limit=limit, cursor=cursor))


@router.get("/keys/{key_id}", operation_id="get_key")
def get_key(key_id: str, parts: Parts) -> KeyOut:
    """One key."""
    with parts.database.read() as session:
        return KeyOut.model_validate(keys.get(session, key_id))


@router.post("/keys/{key_id}/rotate", operation_id="rotate_key", response_model=NewKeyOut)
def rotate_key(key_id: str, parts: Parts, caller: Caller, form: RotateForm | None = None, key: Once = None) -> Any:
    """Gives the key another secret; the one of before is good for the grace."""
    grace = (form or RotateForm()).grace_seconds

    def renew(session: Session, _hints: Hints) -> NewKeyOut:
        return _shown(*keys.rotate(session, key_id, actor=caller.id, grace=timedelta(seconds=grace)))

    return change(parts, caller, key, described("rotate", key_id, grace=grace), renew, once="key")


@router.post("/keys/{key_id}/revoke", operation_id="revoke_key", response_model=KeyOut)
def revoke_key(key_id: str, parts: Parts, caller: Caller, key: Once = None) -> Any:
    """Ends a key at once and for good; the only key of an admin stays."""

    def end(session: Session, _hints: Hints) -> KeyOut:
        return KeyOut.model_validate(keys.revoke(session, key_id, actor=caller.id))

    return change(parts, caller, key, described("revoke", key_id), end)


def _shown(row: ApiKey, whole: str) -> NewKeyOut:
    return NewKeyOut(**KeyOut.model_validate(row).model_dump(), key=whole)
