"""Transactions for requests that write: commit, notify the workers, then respond.

A request that is repeated with the same Idempotency-Key is executed only once.
"""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from sqlalchemy.orm import Session

from api.deps import Services
from registry.access import idempotency
from registry.access.permissions import Principal
from registry.storage import artifacts

QueueHints = list[tuple[str, str]]  # (queue, job id)
Operation = Callable[[Session, QueueHints], BaseModel]


def fingerprint(action: str, subject: str, **options: Any) -> bytes:
    """Return bytes that identify a request.

    They are used to detect that an Idempotency-Key was reused for a different request.
    """
    return json.dumps([action, subject, options], sort_keys=True).encode()


def run_idempotent(
    services: Services,
    caller: Principal,
    idempotency_key: str | None,
    request_fingerprint: bytes,
    operation: Operation,
    *,
    unstored_field: str = "",
) -> dict[str, Any]:
    """Run the operation in one transaction and return its response as JSON data.

    If the same request was sent before with this Idempotency-Key, the stored response is returned
    instead.

    Args:
        services: The shared services.
        caller: The principal that sent the request.
        idempotency_key: The request's Idempotency-Key, or None.
        request_fingerprint: Bytes that identify the request (see `fingerprint`).
        operation: Function that makes the changes and returns the response. To notify
            workers of a job, it appends the queue and the job id to its second argument. The
            workers are notified after the commit.
        unstored_field: A field of the response that is not stored, such as a secret. It is null if
            the response is repeated.

    Raises:
        IdempotencyKeyReused: The key was used before with another request.
    """
    hints: QueueHints = []
    with services.database.write() as session:
        response = None
        if idempotency_key is not None:
            ttl = timedelta(seconds=services.settings.kept_answer_seconds)
            response = idempotency.replay(
                session, caller, idempotency_key, request_fingerprint, ttl=ttl
            )
        if response is None:
            response = operation(session, hints).model_dump(mode="json")
            if idempotency_key is not None:
                stored = {**response, unstored_field: None} if unstored_field else response
                idempotency.save_response(session, caller, idempotency_key, stored)
    for queue, job_id in hints:
        services.queue.send(queue, job_id)
    return response


def delete_with_files(services: Services, delete_rows: Callable[[Session], list[str]]) -> None:
    """Delete database rows, and then each of their files unless another row references it.

    `delete_rows` deletes the rows and returns the digests of their files. Each file is deleted in
    a separate transaction.
    """
    with services.database.write() as session:
        digests = delete_rows(session)
    for digest in digests:
        with services.database.write() as session:
            artifacts.delete_if_unreferenced(session, services.store, digest)
