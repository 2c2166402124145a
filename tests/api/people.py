"""People of two teams, with keys of every role, and what is theirs."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from registry import keys, models, resumable, webhooks, workers
from registry.access import Principal, Role
from registry.access_tables import Webhook
from registry.artifacts import record
from registry.db import Database
from registry.ids import new_id
from registry.model_tables import ModelAlias
from registry.settings import Settings
from registry.store import Store
from registry.tables import Dataset, Job, JobEvent, Teacher

AT = datetime(2026, 1, 1, tzinfo=UTC)
MINE, THEIRS = "team-mine", "team-theirs"
_numbers = count(1)
REPORT: dict[str, Any] = {
    "architecture": "resnet8",
    "options": {},
    "parameters": 1,
    "classifier": "trained",
    "classes": ["a", "b"],
    "image": {"channels": 3, "height": 32, "width": 32, "resize": "crop"},
    "normalization": {"mean": [0.5] * 3, "std": [0.25] * 3},
    "metrics": {"teacher": None, "student": {"top1": 0.5}},
    "lineage": {"run": "0123", "seed": 0, "teacher_sha256": None},
}


@dataclass
class People:
    """Keys and rows over one application."""

    app: FastAPI
    database: Database
    store: Store

    def key(self, role: Role = Role.SUBMITTER, owner: str = MINE, **facts: Any) -> str:
        with self.database.write() as session:
            return keys.create(session, name=f"{role} of {owner}", role=role, owner=owner, **facts)[1]

    def client(self, role: Role | None = Role.SUBMITTER, owner: str = MINE, **facts: Any) -> TestClient:
        """Of a new key; of nobody for the role None."""
        headers = {"Authorization": f"Bearer {self.key(role, owner, **facts)}"} if role else {}
        return TestClient(self.app, base_url="http://127.0.0.1:8000", headers=headers, follow_redirects=False)

    def rows(self, owner: str, *, status: str = "queued") -> dict[str, str]:
        """One of everything that can be an owner's, by the names of path parameters."""
        number = next(_numbers)
        stored = self.store.put([f"file {number}".encode()])
        with self.database.write() as session:
            record(session, self.store, stored)
            teacher, dataset = _teacher(owner, stored.digest), _dataset(owner, stored.digest)
            session.add_all([teacher, dataset])
            session.flush()
            job, made_by = _job(owner, dataset.id, status), _job(owner, dataset.id, "succeeded")
            session.add_all([job, made_by])
            session.flush()
            session.add(JobEvent(job_id=job.id, seq=1, attempt=0, at=AT, type="status", data={}))
            file = models.FileRow("student.onnx", "onnx", stored.digest, stored.size)
            model = models.publish(session, made_by, REPORT, [file])
            session.add(ModelAlias(owner=owner, name=model.name, alias="old", model_id=model.id, updated_at=AT))
            webhook, delivery = self._webhook(session, owner)
            sender = Principal(f"key of {owner}", owner, Role.SUBMITTER, owner)
            upload = resumable.create(session, sender, resumable.Told(4), kept=timedelta(days=1))
        return {
            "teacher_id": teacher.id,
            "dataset_id": dataset.id,
            "job_id": job.id,
            "model": model.id,
            "model_name": model.name,
            "webhook_id": webhook.id,
            "delivery_id": delivery,
            "upload_id": upload.id,
        }

    def worker(self) -> str:
        """One that is there."""
        with self.database.write() as session:
            workers.announce(session, "worker_1", {"name": "w", "hostname": "h", "pid": 1, "slots": {"train": 1}, "devices": []})
        return "worker_1"

    @staticmethod
    def _webhook(session: Any, owner: str) -> tuple[Webhook, str]:
        principal = Principal(f"key of {owner}", owner, Role.SUBMITTER, owner)
        url = "https://example.com/hook"
        made = webhooks.create(session, principal, url=url, events=["job.paused"], enabled=True, settings=Settings())
        return made, webhooks.ping(session, made.id, actor=principal.id).id


def _teacher(owner: str, digest: str) -> Teacher:
    return Teacher(
        id=new_id("teacher"),
        owner=owner,
        name="t",
        filename="t.pt",
        sha256=digest,
        size=6,
        status="ready",
        format="torch",
        architecture="resnet20",
        options={},
        num_classes=2,
        normalization=None,
        parameters=1,
        check_job_id="job_0",
        created_at=AT,
    )


def _dataset(owner: str, digest: str) -> Dataset:
    return Dataset(
        id=new_id("dataset"),
        owner=owner,
        name="d",
        filename="d.zip",
        sha256=digest,
        size=6,
        packed_sha256=digest,
        samples_sha256=digest,
        status="ready",
        classes=["a", "b"],
        splits={"train": 8, "val": 4},
        image={"channels": 3, "height": 32, "width": 32},
        notices=[],
        check_job_id="job_0",
        created_at=AT,
    )


def _job(owner: str, dataset_id: str, status: str) -> Job:
    name = f"job-{next(_numbers)}"
    spec = {"student": {"architecture": "resnet8"}, "dataset": {"id": dataset_id}, "method": {"name": "plain"}}
    return Job(
        id=new_id("job"),
        kind="distill",
        owner=owner,
        name=name,
        status=status,
        queue="train",
        spec=spec,
        dataset_id=dataset_id,
        max_attempts=3,
        last_event=1,
        progress={},
        created_at=AT,
    )
