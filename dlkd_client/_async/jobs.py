"""Jobs: submitted, followed, controlled."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from pydantic import PrivateAttr

from dlkd_client import answers
from dlkd_client._async.connection import AsyncConnection
from dlkd_client._async.stream import follow_events
from dlkd_client.errors import NotReady, WaitedTooLong
from dlkd_client.progress import Bars
from dlkd_client.waiting import async_sleep

if TYPE_CHECKING:
    from dlkd_client._async.client import AsyncClient
    from dlkd_client._async.models import AsyncModel


class AsyncJob(answers.Job):
    """A job as it was when it was asked for; its methods ask again."""

    _client: "AsyncClient" = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Remembers whom to ask."""
        self._client = context

    async def refresh(self) -> "AsyncJob":
        """The job as it is now."""
        return await self._client.job(self.id)

    async def wait(
        self, *, progress: bool = True, on_progress: Callable[[answers.Job], None] | None = None, timeout: float | None = None
    ) -> "AsyncJob":
        """See `wait` of the client; shows a bar where nothing else is said."""
        return await self._client.wait(self.id, progress=progress, on_progress=on_progress, timeout=timeout)

    async def cancel(self, *, force: bool = False) -> "AsyncJob":
        """See `cancel` of the client, and so on."""
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

    def events(self, *, follow: bool = False) -> AsyncIterator[answers.Event]:
        return self._client.events(self.id, follow=follow)

    def logs(self, *, tail: int | None = None) -> AsyncIterator[str]:
        return self._client.logs(self.id, tail=tail)

    async def model(self) -> "AsyncModel":
        """What it made; `NotReady` with the reason where it made nothing."""
        if self.model_id is None:
            reason = f": {self.error}" if self.error else "; wait() for it."
            raise NotReady(f"{self.id} is {self.status}{reason}", code=self.error.code if self.error else self.status)
        return await self._client.model(self.model_id)


class AsyncJobs(AsyncConnection):
    """What the client can do with jobs."""

    async def submit(self, spec: Mapping[str, Any], *, idempotency_key: str | None = None) -> AsyncJob:
        """Submits a job (the fields of POST /v1/jobs). Sent twice with the same key, it is one job."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self.read(await self.send("POST", "/v1/jobs", json=dict(spec), headers=headers), AsyncJob)

    async def job(self, job_id: str) -> AsyncJob:
        """The job of that id."""
        return await self.get(f"/v1/jobs/{job_id}", AsyncJob)

    def jobs(self, **filters: str | list[str] | None) -> AsyncIterator[AsyncJob]:
        """All jobs, the newest first; those that meet all filters of GET /v1/jobs (status, label, owner, method, name, ...)."""
        return self.pages("/v1/jobs", AsyncJob, **filters)

    async def plan(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """What would become of a job (valid, status, queue, spec, problems), without submitting it."""
        sent = await self.send("POST", "/v1/jobs", json=dict(spec), params={"validate_only": True})
        answer: dict[str, Any] = sent.json()
        return answer

    async def cancel(self, job_id: str, *, force: bool = False) -> AsyncJob:
        """Asks the job to stop. One that works saves a checkpoint first, unless forced, and is `cancelling` until then."""
        return await self._control(job_id, "cancel", params={"force": True} if force else {})

    async def pause(self, job_id: str) -> AsyncJob:
        """Asks the job to wait. One that works saves a checkpoint first and is `pausing` until then."""
        return await self._control(job_id, "pause")

    async def resume(self, job_id: str) -> AsyncJob:
        """Queues a paused job, which goes on from its checkpoint."""
        return await self._control(job_id, "resume")

    async def retry(self, job_id: str, *, from_start: bool = False) -> AsyncJob:
        """Tries a job again that failed, was cancelled or expired: from its last checkpoint, or from the start."""
        return await self._control(job_id, "retry", json={"from_start": from_start})

    async def clone(self, job_id: str, changes: Mapping[str, Any] | None = None) -> AsyncJob:
        """Submits another job like that one, changed by a JSON merge patch of its request."""
        return await self._control(job_id, "clone", json=dict(changes or {}))

    async def change(self, job_id: str, **changes: Any) -> AsyncJob:
        """Sets name, notes, labels (None removes one) or, while it waits, the priority."""
        return self.read(await self.send("PATCH", f"/v1/jobs/{job_id}", json=changes), AsyncJob)

    async def delete_job(self, job_id: str, *, with_model: bool = False) -> None:
        """Deletes a job that has ended; one that made a model only with it."""
        await self.send("DELETE", f"/v1/jobs/{job_id}", params={"with_model": True} if with_model else {})

    async def _control(self, job_id: str, action: str, **request: Any) -> AsyncJob:
        return self.read(await self.send("POST", f"/v1/jobs/{job_id}/{action}", **request), AsyncJob)

    async def wait(
        self,
        job: str | answers.Job,
        *,
        progress: bool = False,
        on_progress: Callable[[answers.Job], None] | None = None,
        timeout: float | None = None,
        poll: float = 0.5,
    ) -> AsyncJob:
        """The job once it has ended, however that was.

        `progress` shows a bar (also in notebooks); `on_progress` sees the job each time that it was asked for. `WaitedTooLong`
        after `timeout` seconds.
        """
        job_id = job if isinstance(job, str) else job.id
        until = None if timeout is None else time.monotonic() + timeout
        with Bars() if progress else nullcontext() as bars:
            watchers = [watcher for watcher in (bars and bars.line(job_id).show, on_progress) if watcher]
            while True:
                now = await self.job(job_id)
                for watcher in watchers:
                    watcher(now)
                if now.ended:
                    return now
                if until is not None and time.monotonic() > until:
                    raise WaitedTooLong(f"{job_id} is still {now.status} after {timeout:.0f} s.")
                await async_sleep(poll)

    async def events(self, job_id: str, *, after: str = "", follow: bool = False) -> AsyncIterator[answers.Event]:
        """What happened to the job, after the event of id `after`: so far, or with `follow` until it has ended.

        A line that breaks meanwhile is taken up again where it was.
        """
        if follow:
            async for event in follow_events(self, job_id, after):
                yield event
            return
        while True:
            page = (await self.send("GET", f"/v1/jobs/{job_id}/events", params={"after": after} if after else {})).json()
            for item in page["items"]:
                yield answers.Event.model_validate(item)
            if not page["items"]:
                return
            after = page["cursor"]

    async def attempts(self, job_id: str) -> list[dict[str, Any]]:
        """The job's executions, the oldest first."""
        items: list[dict[str, Any]] = (await self.send("GET", f"/v1/jobs/{job_id}/attempts")).json()["items"]
        return items

    async def logs(self, job_id: str, *, tail: int | None = None, attempt: int | None = None) -> AsyncIterator[str]:
        """The lines that the job's trainers wrote, or the last of them; of one attempt where it is given."""
        params: dict[str, Any] = {"attempt": attempt} if attempt is not None else {}
        while True:
            query = {**params, "tail": tail} if tail is not None else params
            page = (await self.send("GET", f"/v1/jobs/{job_id}/logs", params=query)).json()
            for item in page["items"]:
                yield item["line"]
            if tail is not None or not page["items"]:
                return
            params["after"] = page["cursor"]

    async def metrics(self, job_id: str, *, max_points: int | None = None) -> dict[str, Any]:
        """The job's metric series by name."""
        params = {} if max_points is None else {"max_points": max_points}
        answer: dict[str, Any] = (await self.send("GET", f"/v1/jobs/{job_id}/metrics", params=params)).json()
        return answer
