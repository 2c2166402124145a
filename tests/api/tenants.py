"""Test data for two owners: API keys for every role, and rows of every kind."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from registry.access import api_keys
from registry.access.permissions import Principal, Role
from registry.db.database import Database
from registry.db.ids import new_id
from registry.db.input_tables import Dataset, Teacher
from registry.db.job_tables import Job, JobEvent
from registry.db.model_tables import ModelAlias
from registry.db.webhook_tables import Webhook
from registry.models import model_versions
from registry.settings import Settings
from registry.storage.artifacts import record
from registry.storage.object_store import Store
from registry.uploads import resumable_uploads
from registry.webhooks import subscriptions
from registry.workers import membership
from tests.api.bundle_builder import REPORT
from tests.api.sample_reports import DATASET_REPORT

CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)
MINE, THEIRS = "team-mine", "team-theirs"
_counter = count(1)
_REPORT: dict[str, Any] = {
    **REPORT,
    "parameters": 1,
    "classifier": "trained",
    "classes": ["a", "b"],
    "metrics": {"teacher": None, "student": {"top1": 0.5}},
    "lineage": {"run": "0123", "seed": 0, "teacher_sha256": None},
}


@dataclass
class Tenants:
    """Creates API keys, clients and rows for both owners in one application."""

    app: FastAPI
    database: Database
    store: Store

    def create_key(self, role: Role = Role.SUBMITTER, owner: str = MINE, **options: Any) -> str:
        with self.database.write() as session:
            _, secret = api_keys.create(
                session, name=f"{role} of {owner}", role=role, owner=owner, **options
            )
            return secret

    def create_client(
        self, role: Role | None = Role.SUBMITTER, owner: str = MINE, **options: Any
    ) -> TestClient:
        """Return a client with a new key for the role, or without a key if the role is None."""
        headers = {}
        if role:
            headers["Authorization"] = f"Bearer {self.create_key(role, owner, **options)}"
        return TestClient(
            self.app, base_url="http://127.0.0.1:8000", headers=headers, follow_redirects=False
        )

    def create_rows(self, owner: str, *, status: str = "queued") -> dict[str, str]:
        """Create one row of every kind that has an owner. Return ids by path parameter."""
        number = next(_counter)
        stored = self.store.put([f"file {number}".encode()])
        with self.database.write() as session:
            record(session, self.store, stored)
            teacher = _build_teacher(owner, stored.digest)
            dataset = _build_dataset(owner, stored.digest)
            session.add_all([teacher, dataset])
            session.flush()
            job = _build_job(owner, dataset.id, status)
            finished_job = _build_job(owner, dataset.id, "succeeded")
            session.add_all([job, finished_job])
            session.flush()
            session.add(
                JobEvent(job_id=job.id, seq=1, attempt=0, at=CREATED_AT, type="status", data={})
            )
            file = model_versions.ExportedFile("student.onnx", "onnx", stored.digest, stored.size)
            model = model_versions.publish(session, finished_job, _REPORT, [file])
            session.add(
                ModelAlias(
                    owner=owner,
                    name=model.name,
                    alias="old",
                    model_id=model.id,
                    updated_at=CREATED_AT,
                )
            )
            webhook, delivery_id = self._create_webhook(session, owner)
            principal = Principal(f"key of {owner}", owner, Role.SUBMITTER, owner)
            upload = resumable_uploads.create(
                session, principal, resumable_uploads.UploadInfo(4), ttl=timedelta(days=1)
            )
        return {
            "teacher_id": teacher.id,
            "dataset_id": dataset.id,
            "job_id": job.id,
            "model": model.id,
            "model_name": model.name,
            "webhook_id": webhook.id,
            "delivery_id": delivery_id,
            "upload_id": upload.id,
        }

    def create_worker(self) -> str:
        """Register a worker and return its id."""
        with self.database.write() as session:
            membership.register(
                session,
                "worker_1",
                {"name": "w", "hostname": "h", "pid": 1, "slots": {"train": 1}, "devices": []},
            )
        return "worker_1"

    @staticmethod
    def _create_webhook(session: Any, owner: str) -> tuple[Webhook, str]:
        principal = Principal(f"key of {owner}", owner, Role.SUBMITTER, owner)
        url = "https://example.com/hook"
        webhook = subscriptions.create(
            session, principal, url=url, events=["job.paused"], enabled=True, settings=Settings()
        )
        delivery = subscriptions.ping(session, webhook.id, actor=principal.id)
        return webhook, delivery.id


def _build_teacher(owner: str, digest: str) -> Teacher:
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
        created_at=CREATED_AT,
    )


def _build_dataset(owner: str, digest: str) -> Dataset:
    return Dataset(
        id=new_id("dataset"),
        owner=owner,
        name="d",
        filename="d.zip",
        sha256=digest,
        size=6,
        packed_sha256=digest,
        samples_sha256=digest,
        report=DATASET_REPORT,
        examples_sha256=digest,
        status="ready",
        classes=["a", "b"],
        splits={"train": 8, "val": 4},
        image={"channels": 3, "height": 32, "width": 32},
        notices=[],
        check_job_id="job_0",
        created_at=CREATED_AT,
    )


def _build_job(owner: str, dataset_id: str, status: str) -> Job:
    name = f"job-{next(_counter)}"
    spec = {
        "student": {"architecture": "resnet8"},
        "dataset": {"id": dataset_id},
        "method": {"name": "plain"},
    }
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
        created_at=CREATED_AT,
    )
