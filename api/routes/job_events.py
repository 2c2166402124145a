"""Events of jobs, as pages of JSON or as server-sent events."""

from collections.abc import AsyncIterator
from time import monotonic
from typing import Annotated

from anyio import sleep, to_thread
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse, format_sse_event

from api.deps import Services, ServicesDep
from api.responses import EVENT_STREAM
from api.routes.jobs import PATH
from api.schemas.job_schemas import EventOut, EventPage
from registry.errors import CursorInvalid
from registry.jobs import queries
from registry.jobs.lifecycle import TERMINAL

router = APIRouter(prefix=PATH, tags=["jobs"])
# Duration after which a stream ends. The client then reconnects with Last-Event-ID.
STREAM_SECONDS = 600
_STREAM_PAGE_SIZE = 1000
_POLL_SECONDS = 0.5
_KEEPALIVE_SECONDS = 15
_RETRY_MILLISECONDS = 2000
_STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@router.get(
    "/{job_id}/events",
    operation_id="list_job_events",
    response_model=EventPage,
    responses={
        200: {
            "content": {
                EVENT_STREAM: {
                    "schema": {
                        "type": "string",
                        "description": "Server-sent events. The data is an EventOut, and the event "
                        "id is the `id` of the EventOut.",
                    }
                }
            }
        },
        204: {"description": "The job has ended and there are no more server-sent events."},
    },
)
async def list_job_events(
    request: Request,
    job_id: str,
    services: ServicesDep,
    after: Annotated[
        str | None,
        Query(
            description="`cursor` of the previous response. Omit it to start at the first event."
        ),
    ] = None,
    limit: Annotated[
        int,
        Query(
            ge=1,
            description="Maximum number of events. Values above 1000 are treated as 1000.",
        ),
    ] = 100,
    last_event_id: Annotated[
        str | None,
        Header(description="Id of the last server-sent event that the client received."),
    ] = None,
) -> Response:
    """List the events of a job, oldest first.

    With `Accept: text/event-stream`, the response stays open and sends new events as they occur.
    """
    streaming = EVENT_STREAM in request.headers.get("accept", "")
    start = parse_cursor(last_event_id or after if streaming else after)
    events, ended = await to_thread.run_sync(_read_events, services, job_id, start, limit)
    if not streaming:
        page = EventPage(items=events, cursor=str(events[-1].id if events else start))
        return Response(page.model_dump_json(), media_type="application/json")
    if ended and not events:
        return Response(status_code=204)
    return EventSourceResponse(_stream_events(services, job_id, start), headers=_STREAM_HEADERS)


def parse_cursor(cursor: str | None) -> int:
    """Return the number that the cursor contains, or 0 if there is no cursor.

    Raises:
        CursorInvalid: The cursor is not a number.
    """
    if cursor is None:
        return 0
    # A number of at most 17 digits fits the database's integers.
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 18):
        raise CursorInvalid(
            "The cursor is not valid for this list.",
            hint="Use the cursor of the previous response, or omit it to start at the beginning.",
        )
    return int(cursor)


def _read_events(
    services: Services, job_id: str, after: int, limit: int
) -> tuple[list[EventOut], bool]:
    """Return events with numbers above `after`, and whether the job ended before they were read."""
    with services.database.read() as session:
        ended = queries.get(session, job_id).status in TERMINAL
        rows = queries.list_events(session, job_id, after=after, limit=limit)
        return [EventOut.model_validate(row) for row in rows], ended


async def _stream_events(services: Services, job_id: str, after: int) -> AsyncIterator[bytes]:
    started = last_sent = monotonic()
    yield format_sse_event(comment="events", retry=_RETRY_MILLISECONDS)
    while monotonic() < started + STREAM_SECONDS:
        events, ended = await to_thread.run_sync(
            _read_events, services, job_id, after, _STREAM_PAGE_SIZE
        )
        for event in events:
            after = event.id
            yield format_sse_event(
                data_str=event.model_dump_json(), event=event.type, id=str(event.id)
            )
        if ended and not events:
            return
        if events:
            last_sent = monotonic()
        elif monotonic() > last_sent + _KEEPALIVE_SECONDS:
            last_sent = monotonic()
            yield format_sse_event(comment="still here")
        await sleep(0 if events else _POLL_SECONDS)
