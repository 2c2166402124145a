"""An uploaded file becomes a row that waits for its check."""

import json
from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from api.changes import Hints, change
from api.deps import Services
from api.schemas import UploadOut
from api.uploads import F, Received
from registry import artifacts, quotas, resumable
from registry.errors import RegistryError
from registry.keys import Principal
from registry.quotas import Limits
from registry.tables import Dataset, Teacher
from registry.uploads import CHECKS


def admit(
    parts: Services,
    caller: Principal,
    key: str | None,
    upload: Received[F],
    create: Callable[[Session], Teacher | Dataset],
    out: type[UploadOut],
) -> dict[str, Any]:
    """Makes the row with `create` and its check, and answers in the form of `out`."""

    def add(session: Session, hints: Hints) -> UploadOut:
        artifacts.record(session, parts.store, upload.stored)
        row = create(session)
        if upload.upload_id is not None:
            resumable.use(session, upload.upload_id)
        quotas.check_bytes(session, row.owner, Limits.of(parts.settings))
        hints.append((CHECKS, row.check_job_id))
        return out.model_validate(row)

    try:
        return change(parts, caller, key, _request(upload, out), add)
    except RegistryError:
        _leave_to_sweep(parts, upload)
        raise


def _request(upload: Received[F], out: type[UploadOut]) -> bytes:
    fields = upload.fields.model_dump(mode="json")
    return json.dumps([out.__name__, fields, upload.filename, upload.stored.digest], sort_keys=True).encode()


def _leave_to_sweep(parts: Services, upload: Received[F]) -> None:
    """A file that no row names is removed by the next sweep, if it knows of it."""
    with parts.database.write() as session:
        artifacts.record(session, parts.store, upload.stored)
