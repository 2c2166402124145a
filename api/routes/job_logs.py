"""Logs of jobs, as pages of JSON or as text."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.deps import ServicesDep
from api.routes.job_events import parse_cursor
from api.routes.jobs import PATH
from api.schemas.job_schemas import LogLineOut, LogPage
from api.schemas.query_params import LogQuery
from registry.attempts import trainer_logs
from registry.jobs import queries

router = APIRouter(prefix=PATH, tags=["jobs"])


@router.get(
    "/{job_id}/logs",
    operation_id="list_job_logs",
    response_model=LogPage,
    responses={
        200: {
            "content": {
                "text/plain": {
                    "schema": {"type": "string", "description": "The lines without metadata."}
                }
            }
        }
    },
)
def list_job_logs(
    request: Request, job_id: str, services: ServicesDep, query: Annotated[LogQuery, Query()]
) -> Response:
    """List the log lines of a job, oldest first.

    With `Accept: text/plain`, the response contains only the text of the lines. If a log is
    very long, only its newest lines are kept.
    """
    start = parse_cursor(query.after)
    with services.database.read() as session:
        queries.get(session, job_id)
        if query.tail is not None:
            rows = trainer_logs.list_last_lines(session, job_id, query.tail, attempt=query.attempt)
        else:
            rows = trainer_logs.list_lines(
                session, job_id, after=start, limit=query.limit, attempt=query.attempt
            )
    if "text/plain" in request.headers.get("accept", ""):
        return Response(
            "".join(f"{row.line}\n" for row in rows), media_type="text/plain; charset=utf-8"
        )
    items = [LogLineOut.model_validate(row) for row in rows]
    page = LogPage(items=items, cursor=str(rows[-1].seq if rows else start))
    return Response(page.model_dump_json(), media_type="application/json")
