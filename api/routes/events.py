"""What happens to a job: as pages of JSON, or told as it happens (server-sent events)."""

from collections.abc import AsyncIterator
from time import monotonic
from typing import Annotated

from anyio import sleep, to_thread
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse, format_sse_event

from api.deps import Parts, Services
from api.schemas import EventOut, EventPage
from api.views import event_out
from registry import jobs
from registry.errors import CursorInvalid
from registry.lifecycle import TERMINAL

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
STREAM_SECONDS = 600  # then the client comes again with Last-Event-ID: no connection is held for ever
_POLL_SECONDS = 0.5
_KEEPALIVE_SECONDS = 15
_RETRY_MILLISECONDS = 2000
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@router.get(
    "/{job_id}/events",
    operation_id="list_job_events",
    response_model=EventPage,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string", "description": "EventOut as data, its id as id"}}}},
        204: {"description": "Server-sent events: the job has ended and there is nothing more to tell"},
    },
)
async def list_job_events(
    request: Request,
    job_id: str,
    parts: Parts,
    after: Annotated[str | None, Query(description="The cursor of the answer before")] = None,
    limit: Annotated[int, Query(ge=1, description="At most so many; more than 1000 means 1000")] = 100,
    last_event_id: Annotated[str | None, Header(description="Server-sent events: go on after this one")] = None,
) -> Response:
    """What happened after `after`, oldest first; with `Accept: text/event-stream` also what happens from now on."""
    streaming = "text/event-stream" in request.headers.get("accept", "")
    start = number_of(last_event_id or after if streaming else after)
    found, ended = await to_thread.run_sync(_look, parts, job_id, start, limit)
    if not streaming:
        page = EventPage(items=found, cursor=str(found[-1].id if found else start))
        return Response(page.model_dump_json(), media_type="application/json")
    if ended and not found:
        return Response(status_code=204)
    return EventSourceResponse(_follow(parts, job_id, start), headers=_HEADERS)


def number_of(cursor: str | None) -> int:
    """What a cursor of a numbered list says: go on after this one."""
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 18):  # what fits the database's integers
        raise CursorInvalid(
            "This is not a cursor of this list.", hint="Use the cursor of the answer before, or leave it out to begin."
        )
    return int(cursor)


def _look(parts: Services, job_id: str, after: int, limit: int) -> tuple[list[EventOut], bool]:
    """The events after a number, and whether the job had ended when they were read."""
    with parts.database.read() as session:
        ended = jobs.get(session, job_id).status in TERMINAL
        return [event_out(event) for event in jobs.events(session, job_id, after=after, limit=limit)], ended


async def _follow(parts: Services, job_id: str, after: int) -> AsyncIterator[bytes]:
    began = said = monotonic()
    yield format_sse_event(comment="events", retry=_RETRY_MILLISECONDS)
    while monotonic() < began + STREAM_SECONDS:
        found, ended = await to_thread.run_sync(_look, parts, job_id, after, 1000)
        for event in found:
            after = event.id
            yield format_sse_event(data_str=event.model_dump_json(), event=event.type, id=str(event.id))
        if ended and not found:
            return
        if found:
            said = monotonic()
        elif monotonic() > said + _KEEPALIVE_SECONDS:
            said = monotonic()
            yield format_sse_event(comment="still here")
        await sleep(0 if found else _POLL_SECONDS)
