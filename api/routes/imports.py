"""Models that were made elsewhere, taken in as bundles."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from api.archives import sniff_archive
from api.changes import Hints, change
from api.deps import Caller, Once, Parts, Services
from api.model_schemas import ImportForm, ModelOut
from api.model_views import model_out
from api.routes.models import PATH as MODELS
from api.uploads import Received, form_body, in_upload_thread, receive
from registry import artifacts, bundles, models, names, quotas, resumable, trials
from registry.access import Principal
from registry.bundles import Bundle
from registry.models import FileRow
from registry.quotas import Limits
from registry.store import UPLOAD_PREFIX, Stored

PATH = f"{MODELS}/import"
router = APIRouter(prefix=MODELS, tags=["models"])
CHECKED = ("archive", "manifest", "report", "sha256")


@router.post(
    "/import",
    operation_id="import_model",
    status_code=201,
    response_model=ModelOut,
    openapi_extra=form_body(ImportForm, "The zip of GET /v1/models/{model}/bundle, or the student.zip of an export"),
)
async def import_model(request: Request, response: Response, parts: Parts, caller: Caller, key: Once = None) -> Any:
    """Takes in a bundle as the next version of a name. Every file is held against the manifest; nothing is measured again."""

    def work() -> dict[str, Any]:
        upload = receive(request, parts, caller, sniff_archive, ImportForm)
        with _archive(parts, upload.stored) as path, bundles.opened(path, limit=parts.settings.max_upload_bytes) as bundle:
            return _add(parts, caller, key, upload, bundle)

    model = await in_upload_thread(work, parts.uploads)
    response.headers["Location"] = f"{MODELS}/{model['id']}"
    return model


@contextmanager
def _archive(parts: Services, stored: Stored) -> Iterator[Path]:
    """The archive as a file of this machine."""
    local = parts.store.local_path(stored.digest)
    if local is not None:
        yield local
        return
    with tempfile.NamedTemporaryFile(dir=parts.store.scratch, prefix=UPLOAD_PREFIX) as copy:
        for piece in parts.store.read(stored.digest):
            copy.write(piece)
        copy.flush()
        yield Path(copy.name)


def _add(parts: Services, caller: Principal, key: str | None, upload: Received[ImportForm], bundle: Bundle) -> dict[str, Any]:
    files = [_row(parts, bundle, file) for file in bundle.files]
    form, told = upload.fields, bundle.manifest.model
    facts = {"sha256": upload.stored.digest, "name": told.name, "version": told.version}
    imported = {**facts, "checked": list(CHECKED), "trial": trials.WAITING}

    def add(session: Session, hints: Hints) -> ModelOut:
        artifacts.record(session, parts.store, upload.stored)  # unless an upload names it, it is nobody's: a sweep will take it
        for file in files:
            artifacts.record(session, parts.store, Stored(file.sha256, file.size))
        name = names.registered(form.name, told.name, bundle.report["architecture"])
        model = models.take_in(session, caller, bundle.report, files, name=name, imported=imported)
        model.notes = form.notes
        trial = trials.add(session, model, files)
        hints.append((trial.queue, trial.id))
        if upload.upload_id is not None:
            resumable.use(session, upload.upload_id)
        quotas.check_bytes(session, caller.owner, Limits.of(parts.settings))
        return model_out(session, model)

    return change(parts, caller, key, _request(upload), add)


def _row(parts: Services, bundle: Bundle, file: bundles.BundledFile) -> FileRow:
    """Stores a file of the bundle; one that is not what the manifest says is not kept."""
    stored = parts.store.put(bundle.read(file), limit=file.size)
    return FileRow(file.name, str(file.format), stored.digest, stored.size, file.top1, file.latency_ms)


def _request(upload: Received[ImportForm]) -> bytes:
    return json.dumps(["import", upload.fields.model_dump(mode="json"), upload.stored.digest], sort_keys=True).encode()
