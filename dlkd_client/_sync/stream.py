"""A job's events as they happen: server-sent events, taken up after the last one seen."""

import json
from collections.abc import Iterator

import httpx
from httpx_sse import connect_sse

from dlkd_client import answers
from dlkd_client._sync.connection import Connection
from dlkd_client.errors import problem_of
from dlkd_client.retries import passing, pause
from dlkd_client.waiting import sleep


def follow_events(line: Connection, job_id: str, after: str) -> Iterator[answers.Event]:
    """Events until the job has ended; `Unreachable` where the line stays broken."""
    failures = 0
    while True:
        try:
            with connect_sse(line.http, "GET", f"/v1/jobs/{job_id}/events", headers=_after(after)) as source:
                if source.response.status_code == httpx.codes.NO_CONTENT:  # it has ended, and all was told
                    return
                if passing(source.response) and failures < line.retries:
                    raise httpx.RemoteProtocolError("The service is not ready.")
                _check(source.response)
                for event in source.iter_sse():
                    if event.data:
                        failures, after = 0, event.id
                        yield answers.Event.model_validate(json.loads(event.data))
        except httpx.TransportError as error:
            failures += 1
            if failures > line.retries:
                raise line.unreachable(error) from error
            sleep(pause(failures))


def _after(event_id: str) -> dict[str, str]:
    return {"Last-Event-ID": event_id} if event_id else {}


def _check(answer: httpx.Response) -> None:
    if answer.is_error:
        answer.read()
        raise problem_of(answer)
