"""Requests that change something: done once, committed, then hinted, then answered."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel
from sqlalchemy.orm import Session

from api.deps import Services
from registry import idempotency
from registry.keys import Principal

Hints = list[tuple[str, str]]  # queue and job id
Change = Callable[[Session, Hints], BaseModel]


def change(parts: Services, caller: Principal, key: str | None, request: bytes, do: Change) -> dict[str, Any]:
    """Does it in one transaction and returns the answer; where the key came before with this request, the answer of then.

    `request` says what was asked for, byte for byte; `do` adds the jobs that a worker should hear of to the hints.
    """
    hints: Hints = []
    with parts.database.write() as session:
        answer = _replayed(session, caller, key, request)
        if answer is None:
            answer = do(session, hints).model_dump(mode="json")
            if key is not None:
                idempotency.remember(session, caller, key, answer)
    for queue, job_id in hints:
        parts.queue.send(queue, job_id)
    return answer


def _replayed(session: Session, caller: Principal, key: str | None, request: bytes) -> dict[str, Any] | None:
    return None if key is None else idempotency.replay(session, caller, key, request)
