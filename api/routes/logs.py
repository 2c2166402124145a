"""What the trainers of a job wrote to their logs, kept with the job."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.deps import Parts, Services
from api.queries import LogQuery
from api.routes.events import number_of
from api.schemas import LogLineOut, LogPage
from registry import jobs, logs
from registry.tables import LogLine

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.get(
    "/{job_id}/logs",
    operation_id="list_job_logs",
    response_model=LogPage,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string", "description": "The lines alone"}}}}},
)
def list_job_logs(request: Request, job_id: str, parts: Parts, query: Annotated[LogQuery, Query()]) -> Response:
    """The log of all attempts, oldest line first; with `Accept: text/plain` as text. Of very many lines the newest are kept."""
    start = number_of(query.after)
    rows = _read(parts, job_id, start, query)
    if "text/plain" in request.headers.get("accept", ""):
        return Response("".join(f"{row.line}\n" for row in rows), media_type="text/plain; charset=utf-8")
    items = [LogLineOut(id=row.seq, attempt=row.attempt, at=row.at, line=row.line) for row in rows]
    page = LogPage(items=items, cursor=str(rows[-1].seq if rows else start))
    return Response(page.model_dump_json(), media_type="application/json")


def _read(parts: Services, job_id: str, after: int, query: LogQuery) -> list[LogLine]:
    with parts.database.read() as session:
        jobs.get(session, job_id)
        if query.tail is not None:
            return logs.tail(session, job_id, query.tail, attempt=query.attempt)
        return logs.page(session, job_id, after=after, limit=query.limit, attempt=query.attempt)
