"""A job's events as they happen: server-sent events, taken up after the last one seen."""

import json
from collections.abc import AsyncIterator

import httpx
from httpx_sse import aconnect_sse

from dlkd_client import answers
from dlkd_client._async.connection import AsyncConnection
from dlkd_client.errors import problem_of
from dlkd_client.retries import passing, pause
from dlkd_client.waiting import async_sleep


async def follow_events(line: AsyncConnection, job_id: str, after: str) -> AsyncIterator[answers.Event]:
    """Events until the job has ended; `Unreachable` where the line stays broken."""
    failures = 0
    while True:
        try:
            async with aconnect_sse(line.http, "GET", f"/v1/jobs/{job_id}/events", headers=_after(after)) as source:
                if source.response.status_code == httpx.codes.NO_CONTENT:  # it has ended, and all was told
                    return
                if passing(source.response) and failures < line.retries:
                    raise httpx.RemoteProtocolError("The service is not ready.")
                await _check(source.response)
                async for event in source.aiter_sse():
                    if event.data:
                        failures, after = 0, event.id
                        yield answers.Event.model_validate(json.loads(event.data))
        except httpx.TransportError as error:
            failures += 1
            if failures > line.retries:
                raise line.unreachable(error) from error
            await async_sleep(pause(failures))


def _after(event_id: str) -> dict[str, str]:
    return {"Last-Event-ID": event_id} if event_id else {}


async def _check(answer: httpx.Response) -> None:
    if answer.is_error:
        await answer.aread()
        raise problem_of(answer)
