"""Follows a job's server-sent events, and reconnects if the connection is lost."""

import json
from collections.abc import Iterator

import httpx
from httpx_sse import connect_sse

from dlkd_client import responses
from dlkd_client._sync.base_client import BaseClient, raise_for_problem
from dlkd_client.concurrency import sleep
from dlkd_client.retries import is_retryable, retry_delay


def follow_events(client: BaseClient, job_id: str, after: str) -> Iterator[responses.Event]:
    """Yield events until the job has ended.

    Raises:
        ServiceUnreachable: The connection was lost and could not be re-established.
    """
    failures = 0
    while True:
        try:
            headers = {"Last-Event-ID": after} if after else {}
            with connect_sse(
                client.http, "GET", f"/v1/jobs/{job_id}/events", headers=headers
            ) as source:
                if source.response.status_code == httpx.codes.NO_CONTENT:
                    return  # the job has ended and all events have been sent
                if is_retryable(source.response) and failures < client.retries:
                    raise httpx.RemoteProtocolError("The service is not ready.")
                raise_for_problem(source.response)
                for event in source.iter_sse():
                    if event.data:
                        failures, after = 0, event.id
                        yield responses.Event.model_validate(json.loads(event.data))
        except httpx.TransportError as error:
            failures += 1
            if failures > client.retries:
                raise client.unreachable_error(error) from error
            sleep(retry_delay(failures))
