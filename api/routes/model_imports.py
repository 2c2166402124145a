"""Import of models from exported bundles."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from api.deps import Caller, IdempotencyKey, Services, ServicesDep
from api.responses import with_location
from api.routes import models
from api.schemas.model_schemas import ModelImportForm, ModelOut
from api.schemas.serializers import serialize_model
from api.transactions import QueueHints, run_idempotent
from api.uploads.archive_format import sniff_archive
from api.uploads.form_parser import ReceivedForm, build_form_openapi, receive_form
from registry.access import quotas
from registry.access.permissions import Principal
from registry.models import bundles, import_checks, model_names, model_versions
from registry.models.bundles import Bundle
from registry.models.model_versions import ExportedFile
from registry.storage import artifacts
from registry.storage.object_store import TEMP_FILE_PREFIX, StoredFile
from registry.uploads import resumable_uploads

PATH = f"{models.PATH}/import"
router = APIRouter(prefix=models.PATH, tags=["models"])
PERFORMED_CHECKS = ("archive", "manifest", "report", "sha256")


@router.post(
    "/import",
    operation_id="import_model",
    status_code=201,
    response_model=ModelOut,
    openapi_extra=build_form_openapi(
        ModelImportForm,
        "Zip archive from `GET /v1/models/{model}/bundle`, or a `student.zip` that a run exported.",
    ),
)
async def import_model(
    request: Request,
    response: Response,
    services: ServicesDep,
    caller: Caller,
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """Import a model from a bundle, as the next version of a registered name.

    Every file is verified against the manifest. Accuracy and latency are not measured again.
    """

    def work() -> dict[str, Any]:
        upload = receive_form(request, services, caller, sniff_archive, ModelImportForm)
        with (
            _open_archive(services, upload.stored) as path,
            bundles.open_bundle(
                path, max_unpacked_bytes=services.settings.max_upload_bytes
            ) as bundle,
        ):
            return _create_model(services, caller, idempotency_key, upload, bundle)

    model = await to_thread.run_sync(work, limiter=services.upload_limiter)
    return with_location(response, models.PATH, model)


@contextmanager
def _open_archive(services: Services, stored: StoredFile) -> Iterator[Path]:
    """Yield the path of the archive, or of a temporary copy if the store is remote."""
    local_path = services.store.local_path(stored.digest)
    if local_path is not None:
        yield local_path
        return
    with tempfile.NamedTemporaryFile(dir=services.store.scratch, prefix=TEMP_FILE_PREFIX) as copy:
        for chunk in services.store.read(stored.digest):
            copy.write(chunk)
        copy.flush()
        yield Path(copy.name)


def _create_model(
    services: Services,
    caller: Principal,
    idempotency_key: str | None,
    upload: ReceivedForm[ModelImportForm],
    bundle: Bundle,
) -> dict[str, Any]:
    files = [_store_file(services, bundle, file) for file in bundle.model_files]
    form, original = upload.fields, bundle.manifest.model
    imported = {
        "sha256": upload.stored.digest,
        "name": original.name,
        "version": original.version,
        "checked": list(PERFORMED_CHECKS),
        "trial": import_checks.WAITING_RESULT,
    }

    def create(session: Session, hints: QueueHints) -> ModelOut:
        # Unless the archive is a resumable upload, no row references it, and garbage collection
        # deletes it.
        artifacts.record(session, services.store, upload.stored)
        for file in files:
            artifacts.record(session, services.store, StoredFile(file.sha256, file.size))
        name = model_names.choose_name(form.name, original.name, bundle.report["architecture"])
        model = model_versions.import_model(
            session, caller, bundle.report, files, name=name, imported=imported
        )
        model.notes = form.notes
        check_job = import_checks.add_import_check(session, model, files)
        hints.append((check_job.queue, check_job.id))
        if upload.upload_id is not None:
            resumable_uploads.mark_used(session, upload.upload_id)
        quotas.check_bytes(session, caller.owner, services.default_quotas)
        return serialize_model(session, model)

    request = ["import", form.model_dump(mode="json"), upload.stored.digest]
    return run_idempotent(
        services, caller, idempotency_key, json.dumps(request, sort_keys=True).encode(), create
    )


def _store_file(services: Services, bundle: Bundle, file: bundles.BundleFile) -> ExportedFile:
    """Store a file from the bundle. If it does not match the manifest, it is not kept."""
    stored = services.store.put(bundle.read(file), limit=file.size)
    return ExportedFile(
        file.name, str(file.format), stored.digest, stored.size, file.top1, file.latency_ms
    )
