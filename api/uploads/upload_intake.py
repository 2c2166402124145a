"""Creates teachers and datasets from uploaded files, along with the jobs that check them."""

import json
from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from api.deps import Services
from api.schemas.input_schemas import InputOut
from api.transactions import QueueHints, run_idempotent
from api.uploads.form_parser import FormT, ReceivedForm
from registry.access import quotas
from registry.access.permissions import Principal
from registry.db.input_tables import Dataset, Teacher
from registry.errors import RegistryError
from registry.jobs.queue_names import QueueName
from registry.storage import artifacts
from registry.uploads import resumable_uploads


def register_upload(
    services: Services,
    caller: Principal,
    idempotency_key: str | None,
    upload: ReceivedForm[FormT],
    create_row: Callable[[Session], Teacher | Dataset],
    response_model: type[InputOut],
) -> dict[str, Any]:
    """Create the teacher or dataset for an uploaded file, queue its check and return the response.

    Raises:
        QuotaExceeded: The owner has no storage left.
        IdempotencyKeyReused: The key was used before with another request.
    """

    def create(session: Session, hints: QueueHints) -> InputOut:
        artifacts.record(session, services.store, upload.stored)
        row = create_row(session)
        if upload.upload_id is not None:
            resumable_uploads.mark_used(session, upload.upload_id)
        quotas.check_bytes(session, row.owner, services.default_quotas)
        hints.append((QueueName.CHECKS, row.check_job_id))
        return response_model.model_validate(row)

    fields = upload.fields.model_dump(mode="json")
    request = [response_model.__name__, fields, upload.filename, upload.stored.digest]
    try:
        return run_idempotent(
            services, caller, idempotency_key, json.dumps(request, sort_keys=True).encode(), create
        )
    except RegistryError:
        # Garbage collection deletes only files that have been recorded.
        with services.database.write() as session:
            artifacts.record(session, services.store, upload.stored)
        raise
