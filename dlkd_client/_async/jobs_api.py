"""Client methods for jobs."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from pydantic import PrivateAttr

from dlkd_client import responses
from dlkd_client._async.base_client import AsyncBaseClient
from dlkd_client._async.event_stream import follow_events
from dlkd_client.concurrency import async_sleep
from dlkd_client.errors import NotReady, WaitTimeout
from dlkd_client.progress import ProgressBars

if TYPE_CHECKING:
    from dlkd_client._async.api_client import AsyncClient
    from dlkd_client._async.models_api import AsyncModel


class AsyncJob(responses.Job):
    """A job's state at the time of the request. Its methods send new requests."""

    _client: "AsyncClient" = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        self._client = context

    async def refresh(self) -> "AsyncJob":
        """Return the current state of the job."""
        return await self._client.job(self.id)

    async def wait(
        self,
        *,
        progress: bool = True,
        on_progress: Callable[[responses.Job], None] | None = None,
        timeout: float | None = None,
    ) -> "AsyncJob":
        """Wait for the job to end. The arguments are those of `Client.wait`."""
        return await self._client.wait(
            self.id, progress=progress, on_progress=on_progress, timeout=timeout
        )

    async def cancel(self, *, force: bool = False) -> "AsyncJob":
        return await self._client.cancel(self.id, force=force)

    async def pause(self) -> "AsyncJob":
        return await self._client.pause(self.id)

    async def resume(self) -> "AsyncJob":
        return await self._client.resume(self.id)

    async def retry(self, *, from_start: bool = False) -> "AsyncJob":
        return await self._client.retry(self.id, from_start=from_start)

    async def clone(self, changes: Mapping[str, Any] | None = None) -> "AsyncJob":
        return await self._client.clone(self.id, changes)

    async def metrics(self, *, max_points: int | None = None) -> dict[str, Any]:
        return await self._client.metrics(self.id, max_points=max_points)

    def events(self, *, follow: bool = False) -> AsyncIterator[responses.Event]:
        return self._client.events(self.id, follow=follow)

    def logs(self, *, tail: int | None = None) -> AsyncIterator[str]:
        return self._client.logs(self.id, tail=tail)

    async def model(self) -> "AsyncModel":
        """Return the model that the job produced.

        Raises:
            NotReady: The job has not produced a model.
        """
        if self.model_id is None:
            reason = f": {self.error}" if self.error else ". Wait for it with wait()."
            raise NotReady(
                f"{self.id} is {self.status}{reason}",
                code=self.error.code if self.error else self.status,
            )
        return await self._client.model(self.model_id)


class AsyncJobsAPI(AsyncBaseClient):
    """Client methods for jobs."""

    async def submit(
        self, spec: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> AsyncJob:
        """Submit a job. `spec` is the request body of `POST /v1/jobs`.

        If two calls have the same `idempotency_key`, only one job is submitted.
        """
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self.parse(
            await self.send("POST", "/v1/jobs", json=dict(spec), headers=headers), AsyncJob
        )

    async def job(self, job_id: str) -> AsyncJob:
        """Return the job with the given id."""
        return await self.get(f"/v1/jobs/{job_id}", AsyncJob)

    def jobs(self, **filters: str | list[str] | None) -> AsyncIterator[AsyncJob]:
        """Yield the jobs that match all filters, newest first.

        The filters are the query parameters of `GET /v1/jobs`: status, label, owner, name, ...
        """
        return self.paginate("/v1/jobs", AsyncJob, **filters)

    async def plan(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Validate a job without submitting it.

        The result has the keys valid, status, queue, spec and problems.
        """
        return await self.send_json(
            "POST", "/v1/jobs", json=dict(spec), params={"validate_only": True}
        )

    async def cancel(self, job_id: str, *, force: bool = False) -> AsyncJob:
        """Cancel a job.

        A running job is `cancelling` until it has saved a checkpoint. With `force`, it stops at
        once, without a checkpoint.
        """
        return await self._post_action(job_id, "cancel", params={"force": True} if force else {})

    async def pause(self, job_id: str) -> AsyncJob:
        """Pause a job. A running job is `pausing` until it has saved a checkpoint."""
        return await self._post_action(job_id, "pause")

    async def resume(self, job_id: str) -> AsyncJob:
        """Queue a paused job. It continues from its checkpoint."""
        return await self._post_action(job_id, "resume")

    async def retry(self, job_id: str, *, from_start: bool = False) -> AsyncJob:
        """Requeue a failed, cancelled or expired job.

        The job continues from its last checkpoint, unless `from_start` is set.
        """
        return await self._post_action(job_id, "retry", json={"from_start": from_start})

    async def clone(self, job_id: str, changes: Mapping[str, Any] | None = None) -> AsyncJob:
        """Submit a copy of a job. `changes` is a JSON merge patch for the original request."""
        return await self._post_action(job_id, "clone", json=dict(changes or {}))

    async def update_job(self, job_id: str, **changes: Any) -> AsyncJob:
        """Change a job's name, notes or labels, or the priority of a job that is still waiting.

        To remove a label, set its value to None.
        """
        return self.parse(await self.send("PATCH", f"/v1/jobs/{job_id}", json=changes), AsyncJob)

    async def delete_job(self, job_id: str, *, with_model: bool = False) -> None:
        """Delete a job that has ended. If it has a model, `with_model` must be set."""
        await self.send(
            "DELETE", f"/v1/jobs/{job_id}", params={"with_model": True} if with_model else {}
        )

    async def _post_action(self, job_id: str, action: str, **request: Any) -> AsyncJob:
        return self.parse(
            await self.send("POST", f"/v1/jobs/{job_id}/{action}", **request), AsyncJob
        )

    async def wait(
        self,
        job: str | responses.Job,
        *,
        progress: bool = False,
        on_progress: Callable[[responses.Job], None] | None = None,
        timeout: float | None = None,
        poll_seconds: float = 0.5,
    ) -> AsyncJob:
        """Wait for a job to end and return it, whether it succeeded or not.

        Args:
            job: The job or its id.
            progress: Show a progress bar. This also works in notebooks.
            on_progress: Called with the job's state after each request.
            timeout: Maximum number of seconds to wait. By default, there is no limit.
            poll_seconds: Seconds between requests.

        Raises:
            WaitTimeout: The job did not end in time.
        """
        job_id = job if isinstance(job, str) else job.id
        deadline = None if timeout is None else time.monotonic() + timeout
        with ProgressBars() if progress else nullcontext() as bars:
            watchers = [
                watcher
                for watcher in (bars and bars.add_line(job_id).show_job, on_progress)
                if watcher
            ]
            while True:
                current = await self.job(job_id)
                for watcher in watchers:
                    watcher(current)
                if current.is_finished:
                    return current
                if deadline is not None and time.monotonic() > deadline:
                    raise WaitTimeout(f"{job_id} is still {current.status} after {timeout:.0f} s.")
                await async_sleep(poll_seconds)

    async def events(
        self, job_id: str, *, after: str = "", follow: bool = False
    ) -> AsyncIterator[responses.Event]:
        """Yield the job's events after the event with id `after`.

        With `follow`, wait for new events until the job has ended. If the connection is lost, the
        client reconnects.
        """
        if follow:
            async for event in follow_events(self, job_id, after):
                yield event
            return
        while True:
            params = {"after": after} if after else {}
            page = await self.send_json("GET", f"/v1/jobs/{job_id}/events", params=params)
            for item in page["items"]:
                yield responses.Event.model_validate(item)
            if not page["items"]:
                return
            after = page["cursor"]

    async def attempts(self, job_id: str) -> list[dict[str, Any]]:
        """Return the job's attempts, oldest first."""
        document = await self.send_json("GET", f"/v1/jobs/{job_id}/attempts")
        items: list[dict[str, Any]] = document["items"]
        return items

    async def logs(
        self, job_id: str, *, tail: int | None = None, attempt: int | None = None
    ) -> AsyncIterator[str]:
        """Yield the log lines of the job's trainers.

        Args:
            job_id: Id of the job.
            tail: Return only the last `tail` lines.
            attempt: Return only the lines of the attempt with this number.
        """
        params: dict[str, Any] = {"attempt": attempt} if attempt is not None else {}
        while True:
            query = {**params, "tail": tail} if tail is not None else params
            page = await self.send_json("GET", f"/v1/jobs/{job_id}/logs", params=query)
            for item in page["items"]:
                yield item["line"]
            if tail is not None or not page["items"]:
                return
            params["after"] = page["cursor"]

    async def metrics(self, job_id: str, *, max_points: int | None = None) -> dict[str, Any]:
        """Return the job's metrics. `series` maps the name of each metric to its points."""
        params = {} if max_points is None else {"max_points": max_points}
        return await self.send_json("GET", f"/v1/jobs/{job_id}/metrics", params=params)
