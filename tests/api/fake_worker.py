"""A fake worker. It stores results without computing anything."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from registry.attempts import claims
from registry.db.database import Database
from registry.jobs.lifecycle import JobStatus
from registry.jobs.queue_names import QueueName
from registry.models import model_versions
from registry.settings import Settings
from registry.storage import artifacts
from registry.storage.object_store import Store
from registry.uploads.upload_check_jobs import CHECK_FILES, EXAMPLES_FILE
from registry.workers.capacity import QueueCapacity
from tests.api.sample_reports import DATASET_REPORT

# Begins like a file in the old format of torch.save, which was not yet a zip archive.
CHECKPOINT = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + bytes(1000)
SAMPLES = {"columns": 12, "width": 32, "height": 32, "classes": [0, 1]}


def list_stored_files(settings: Settings) -> list[Path]:
    """Return every file in the store's folder, including partial uploads."""
    return [path for path in (settings.data / "store").rglob("*") if path.is_file()]


class FakeWorker:
    """A worker that claims jobs and records made-up results."""

    def __init__(self, database: Database, store: Store) -> None:
        self.database = database
        self.store = store

    def claim(self, queue: str) -> claims.Claim:
        with self.database.write() as session:
            claim = claims.claim(
                session,
                worker_id="worker_test",
                capacities=[QueueCapacity(queue)],
                lease=timedelta(minutes=1),
            )
        assert claim is not None
        return claim

    def check_teacher(self, num_classes: int = 2) -> None:
        report = {
            "format": "torch",
            "architecture": "resnet20",
            "num_classes": num_classes,
            "parameters": 272_474,
            "options": {},
            "notices": ["Its classifier is fc.1."],
        }
        claim = self.claim(QueueName.CHECKS)
        with self.database.write() as session:
            claims.advance_status(session, claim, JobStatus.RUNNING)
            claims.finish_check(session, claim, report=report)

    def check_dataset(self, health_report: dict[str, Any] | None = DATASET_REPORT) -> None:
        """Finish a check. Without a health report, it is as in an earlier version."""
        result = {
            "classes": ["cat", "dog"],
            "splits": {"train": 8, "val": 4},
            "image": {"channels": 3, "height": 32, "width": 32},
            "notices": [],
            "class_counts": {"train": [5, 3], "val": [2, 2]},
            "samples": SAMPLES,
        }
        names = set(CHECK_FILES)
        if health_report is None:
            names.remove(EXAMPLES_FILE)
        else:
            result["report"] = health_report
        files = {name: self.store.put([name.encode()]) for name in names}
        claim = self.claim(QueueName.CHECKS)
        with self.database.write() as session:
            claims.advance_status(session, claim, JobStatus.RUNNING)
            for stored in files.values():
                artifacts.record(session, self.store, stored)
            claims.finish_check(session, claim, report=result, files=files)

    def fail_check(self, error: dict[str, Any]) -> None:
        claim = self.claim(QueueName.CHECKS)
        with self.database.write() as session:
            claims.fail(session, claim, error=error)

    def finish_training(
        self,
        claim: claims.Claim,
        content: bytes = b"weights of the student",
        label_errors: dict[str, Any] | None = None,
    ) -> str:
        """Finish the job with a single-file model and return the model's id."""
        stored = self.store.put([content])
        file = model_versions.ExportedFile(
            "student.onnx", "onnx", stored.digest, stored.size, top1=0.5, latency_ms=1.5
        )
        points = [claims.MetricPoint(step, 1, {"val/top1": step / 100}) for step in range(1, 101)]
        report = {
            "architecture": "resnet8",
            "parameters": 78_042,
            "classes": ["cat", "dog"],
            "metrics": {"teacher": {"top1": 0.75}, "student": {"top1": 0.5}},
            "options": {},
            "image": {"height": 32, "width": 32},
            "normalization": None,
            "label_errors": label_errors,
            "lineage": {"run": "0123"},
        }
        with self.database.write() as session:
            claims.advance_status(session, claim, JobStatus.RUNNING)
            claims.record_update(
                session,
                claim,
                claims.AttemptUpdate(events=[("phase", {"phase": "training"})], points=points),
            )
            artifacts.record(session, self.store, stored)
            model_id = claims.finish(session, claim, report=report, files=[file])
        assert model_id is not None
        return model_id
