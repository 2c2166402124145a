"""The service as Python: `Client(url, api_key)`. Every method is one wish; refusals are `ProblemError`."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4

import httpx

from dlkd_client.answers import Answer, Dataset, Event, Job, Model, Teacher, Upload
from dlkd_client.download import fetch
from dlkd_client.errors import NotReady, Unreachable, WaitedTooLong, problem_of

_A = TypeVar("_A", bound=Answer)
_U = TypeVar("_U", bound=Upload)


class Client:
    """A connection to one service.

    Args:
        url: its address, such as http://127.0.0.1:8000.
        api_key: a key of it.
        timeout: seconds without a byte after which a request is given up.
        transport: another way to the service, as tests use.
    """

    def __init__(self, url: str, api_key: str, *, timeout: float = 60, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=timeout,
            follow_redirects=True,  # to the object store's signed addresses; the key stays with this host
            transport=transport or httpx.HTTPTransport(retries=2),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Gives the connections back."""
        self._http.close()

    # Teachers and data sets

    def upload_teacher(
        self,
        path: Path,
        *,
        name: str | None = None,
        architecture: str | None = None,
        num_classes: int | None = None,
        normalization: Mapping[str, Any] | None = None,
    ) -> Teacher:
        """Sends a checkpoint. What is left out is recognised by the service; `ready` waits until it has looked."""
        fields = {
            "name": name,
            "architecture": architecture,
            "num_classes": None if num_classes is None else str(num_classes),
            "normalization": None if normalization is None else json.dumps(normalization),
        }
        return self._upload("/v1/teachers", path, fields, Teacher)

    def upload_dataset(self, path: Path, *, name: str | None = None) -> Dataset:
        """Sends a zip, tar or tar.gz of train/<class>/... and val/<class>/..."""
        return self._upload("/v1/datasets", path, {"name": name}, Dataset)

    def teacher(self, teacher_id: str) -> Teacher:
        """The teacher of that id."""
        return self._get(f"/v1/teachers/{teacher_id}", Teacher)

    def dataset(self, dataset_id: str) -> Dataset:
        """The data set of that id."""
        return self._get(f"/v1/datasets/{dataset_id}", Dataset)

    def teachers(self) -> Iterator[Teacher]:
        """All teachers, the newest first."""
        return self._pages("/v1/teachers", {}, Teacher)

    def datasets(self) -> Iterator[Dataset]:
        """All data sets, the newest first."""
        return self._pages("/v1/datasets", {}, Dataset)

    def ready(self, upload: _U, *, timeout: float = 3600, poll: float = 0.3) -> _U:
        """The same teacher or data set once it was checked; `NotReady` with the reason where it was found unfit."""
        path = f"/v1/{'teachers' if isinstance(upload, Teacher) else 'datasets'}/{upload.id}"
        until = time.monotonic() + timeout
        while not upload.checked:
            if time.monotonic() > until:
                raise WaitedTooLong(f"{upload.id} is still being checked after {timeout:.0f} s. Is a worker running?")
            time.sleep(poll)
            upload = self._get(path, type(upload))
        if upload.status != "ready":
            raise NotReady(
                f"{upload.name or upload.id}: {upload.error}", code=upload.error.code if upload.error else upload.status
            )
        return upload

    # Jobs

    def submit(self, spec: Mapping[str, Any], *, idempotency_key: str | None = None) -> Job:
        """Submits a job (the fields of POST /v1/jobs). Sent twice with the same key, it is one job."""
        headers = {"Idempotency-Key": idempotency_key or uuid4().hex}
        return Job.model_validate_json(self._send("POST", "/v1/jobs", json=dict(spec), headers=headers).content)

    def job(self, job_id: str) -> Job:
        """The job of that id."""
        return self._get(f"/v1/jobs/{job_id}", Job)

    def jobs(self, **filters: str | list[str] | None) -> Iterator[Job]:
        """All jobs, the newest first; those that meet all filters of GET /v1/jobs (status, label, owner, method, name, ...)."""
        return self._pages("/v1/jobs", {name: value for name, value in filters.items() if value is not None}, Job)

    def plan(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """What would become of a job (valid, status, queue, spec, problems), without submitting it."""
        answer: dict[str, Any] = self._send("POST", "/v1/jobs", json=dict(spec), params={"validate_only": True}).json()
        return answer

    def cancel(self, job_id: str, *, force: bool = False) -> Job:
        """Asks the job to stop. One that works saves a checkpoint first, unless forced, and is `cancelling` until then."""
        return self._control(job_id, "cancel", params={"force": True} if force else {})

    def pause(self, job_id: str) -> Job:
        """Asks the job to wait. One that works saves a checkpoint first and is `pausing` until then."""
        return self._control(job_id, "pause")

    def resume(self, job_id: str) -> Job:
        """Queues a paused job, which goes on from its checkpoint."""
        return self._control(job_id, "resume")

    def retry(self, job_id: str, *, from_start: bool = False) -> Job:
        """Tries a job again that failed, was cancelled or expired: from its last checkpoint, or from the start."""
        return self._control(job_id, "retry", json={"from_start": from_start})

    def clone(self, job_id: str, changes: Mapping[str, Any] | None = None) -> Job:
        """Submits another job like that one, changed by a JSON merge patch of its request."""
        return self._control(job_id, "clone", json=dict(changes or {}))

    def change(self, job_id: str, **changes: Any) -> Job:
        """Sets name, notes, labels (None removes one) or, while it waits, the priority."""
        return Job.model_validate_json(self._send("PATCH", f"/v1/jobs/{job_id}", json=changes).content)

    def delete_job(self, job_id: str, *, with_model: bool = False) -> None:
        """Deletes a job that has ended; one that made a model only with it."""
        self._send("DELETE", f"/v1/jobs/{job_id}", params={"with_model": True} if with_model else {})

    def _control(self, job_id: str, action: str, **request: Any) -> Job:
        headers = {"Idempotency-Key": uuid4().hex}
        return Job.model_validate_json(self._send("POST", f"/v1/jobs/{job_id}/{action}", headers=headers, **request).content)

    def wait(
        self, job_id: str, *, on_progress: Callable[[Job], None] | None = None, timeout: float | None = None, poll: float = 0.5
    ) -> Job:
        """The job once it has ended, however that was; `on_progress` sees it each time that it was asked for."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            job = self.job(job_id)
            if on_progress is not None:
                on_progress(job)
            if job.ended:
                return job
            if until is not None and time.monotonic() > until:
                raise WaitedTooLong(f"{job_id} is still {job.status} after {timeout:.0f} s.")
            time.sleep(poll)

    def events(self, job_id: str, *, after: str = "") -> Iterator[Event]:
        """What happened to the job so far, after the event of id `after`."""
        while True:
            page = self._send("GET", f"/v1/jobs/{job_id}/events", params={"after": after} if after else {}).json()
            yield from (Event.model_validate(item) for item in page["items"])
            if not page["items"]:
                return
            after = page["cursor"]

    def attempts(self, job_id: str) -> list[dict[str, Any]]:
        """The job's executions, the oldest first."""
        items: list[dict[str, Any]] = self._send("GET", f"/v1/jobs/{job_id}/attempts").json()["items"]
        return items

    def logs(self, job_id: str, *, tail: int | None = None, attempt: int | None = None) -> Iterator[str]:
        """The lines that the job's trainers wrote, or the last of them; of one attempt where it is given."""
        params: dict[str, Any] = {"attempt": attempt} if attempt is not None else {}
        while True:
            query = {**params, "tail": tail} if tail is not None else params
            page = self._send("GET", f"/v1/jobs/{job_id}/logs", params=query).json()
            yield from (item["line"] for item in page["items"])
            if tail is not None or not page["items"]:
                return
            params["after"] = page["cursor"]

    def metrics(self, job_id: str, *, max_points: int | None = None) -> dict[str, Any]:
        """The job's metric series by name."""
        params = {} if max_points is None else {"max_points": max_points}
        answer: dict[str, Any] = self._send("GET", f"/v1/jobs/{job_id}/metrics", params=params).json()
        return answer

    # Models

    def model(self, model: str) -> Model:
        """The model of that id, or name@alias, name@version, name@latest."""
        return self._get(f"/v1/models/{model}", Model)

    def models(self, **filters: str | list[str] | None) -> Iterator[Model]:
        """All models, the newest first; those that meet all filters of GET /v1/models (name, tag, teacher, dataset)."""
        return self._pages("/v1/models", {name: value for name, value in filters.items() if value is not None}, Model)

    def compare(self, *models: str) -> dict[str, Any]:
        """Models side by side: 2 to 20 ids or names with an alias or version."""
        answer: dict[str, Any] = self._send("GET", "/v1/models/compare", params={"ids": ",".join(models)}).json()
        return answer

    def lineage(self, model: str) -> dict[str, Any]:
        """What led to the model, as nodes and edges."""
        answer: dict[str, Any] = self._send("GET", f"/v1/models/{model}/lineage").json()
        return answer

    def point(self, name: str, alias: str, model: str) -> None:
        """Points the alias at a version of the name."""
        self._send("PUT", f"/v1/registry/{name}/aliases/{alias}", json={"model": model})

    def signed_url(self, model: str, name: str, *, seconds: int = 900) -> str:
        """An address of a model's file that is good without a key for so long."""
        answer = self._send("POST", f"/v1/models/{model}/files/{name}/url", json={"expires_seconds": seconds})
        return str(answer.json()["url"])

    def download(self, model: Model | str, name: str, target: Path) -> Path:
        """Writes a model's file to `target` (a file, or a folder that exists) and returns where it lies.

        A download that was cut off goes on where it stopped. The file appears under its name only when its sha256
        is the announced one; `DownloadCorrupt` otherwise.
        """
        model = self.model(model) if isinstance(model, str) else model
        file = model.file(name)
        path = target / name if target.is_dir() else target
        return fetch(self._http, f"/v1/models/{model.id}/files/{name}", path, sha256=file.sha256, size=file.size)

    def catalog(self) -> dict[str, Any]:
        """Methods, architectures and exporters with the JSON schemas of their parameters."""
        answer: dict[str, Any] = self._send("GET", "/v1/catalog").json()
        return answer

    def _upload(self, path: str, file: Path, fields: Mapping[str, str | None], kind: type[_U]) -> _U:
        data = {name: value for name, value in fields.items() if value is not None}
        with file.open("rb") as stream:
            answer = self._send("POST", path, data=data, files={"file": (file.name, stream, "application/octet-stream")})
        return kind.model_validate_json(answer.content)

    def _get(self, path: str, kind: type[_A]) -> _A:
        return kind.model_validate_json(self._send("GET", path).content)

    def _pages(self, path: str, params: Mapping[str, Any], kind: type[_A]) -> Iterator[_A]:
        cursor: str | None = ""
        while cursor is not None:
            page = self._send("GET", path, params={**params, "cursor": cursor} if cursor else params).json()
            yield from (kind.model_validate(item) for item in page["items"])
            cursor = page["next_cursor"]

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **request)
        except httpx.TransportError as error:
            raise Unreachable(f"{self.url} does not answer ({str(error) or type(error).__name__}). Is the service up?") from error
        if answer.is_error:
            raise problem_of(answer)
        return answer
