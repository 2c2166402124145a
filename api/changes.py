"""Requests that change something: done once, committed, then hinted, then answered."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from sqlalchemy.orm import Session

from api.deps import Services
from registry import artifacts, idempotency
from registry.keys import Principal

Hints = list[tuple[str, str]]  # queue and job id
Change = Callable[[Session, Hints], BaseModel]


def described(action: str, subject: str, **options: Any) -> bytes:
    """A request without a body of its own in words, to tell it from others under the same key."""
    return json.dumps([action, subject, options], sort_keys=True).encode()


def change(parts: Services, caller: Principal, key: str | None, request: bytes, do: Change, *, once: str = "") -> dict[str, Any]:
    """Does it in one transaction and returns the answer; where the key came before with this request, the answer of then.

    `request` says what was asked for, byte for byte; `do` adds the jobs that a worker should hear of to the hints.
    `once` names a field of the answer that is shown once and not kept: it is null in a repeated answer.
    """
    hints: Hints = []
    with parts.database.write() as session:
        answer = _replayed(session, parts, caller, key, request)
        if answer is None:
            answer = do(session, hints).model_dump(mode="json")
            if key is not None:
                idempotency.remember(session, caller, key, {**answer, once: None} if once else answer)
    for queue, job_id in hints:
        parts.queue.send(queue, job_id)
    return answer


def delete(parts: Services, remove: Callable[[Session], list[str]]) -> None:
    """Removes rows, and then, each in a transaction of its own, those of the files returned that nothing names any more."""
    with parts.database.write() as session:
        digests = remove(session)
    for digest in digests:
        with parts.database.write() as session:
            artifacts.forget(session, parts.store, digest)


def _replayed(session: Session, parts: Services, caller: Principal, key: str | None, request: bytes) -> dict[str, Any] | None:
    kept = timedelta(seconds=parts.settings.kept_answer_seconds)
    return None if key is None else idempotency.replay(session, caller, key, request, kept=kept)
