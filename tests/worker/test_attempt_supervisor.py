"""Tests for what an attempt changes in the database and the store, from claim to end."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event as Flag
from threading import Thread

import pytest

from registry.attempts.claims import Claim
from registry.attempts.maintenance import expire_leases
from registry.db.job_tables import Attempt
from registry.db.model_tables import Model
from registry.inputs import datasets, teachers
from registry.jobs import controls, queries
from registry.jobs.queue_names import QueueName
from registry.models import model_versions
from registry.storage.object_store import Store
from registry.uploads.upload_check_jobs import PACKED_FILE
from tests.worker.conftest import WorkerHarness, wait_until
from worker.attempt_supervisor import supervise
from worker.context import WorkerContext

# Code that scripted trainers run.
PACK_DATASET = """
attempt_path("packed.safetensors").write_bytes(b"packed images")
attempt_path("samples.webp").write_bytes(b"a picture")
"""
REPORT_DATASET = """
image = {"height": 8, "width": 8}
splits = {"train": 8, "val": 4}
emit("finished", report={"classes": ["a", "b"], "splits": splits, "image": image})
"""
REPORT_TEACHER = """
network = {"format": "torch", "architecture": "resnet20", "options": {}}
emit("finished", report={**network, "num_classes": 2, "parameters": 9})
"""


class SupervisedAttempt:
    """Attempt that runs in a thread."""

    def __init__(self, context: WorkerContext, claim: Claim) -> None:
        self.claim, self.drain_event = claim, Flag()
        self._thread = Thread(target=supervise, args=(context, claim, (0,), self.drain_event))
        self._thread.start()

    def join(self) -> None:
        self._thread.join()


@pytest.fixture
def started_attempts() -> Iterator[list[SupervisedAttempt]]:
    attempts: list[SupervisedAttempt] = []
    yield attempts
    for attempt in attempts:
        attempt.drain_event.set()
        attempt.join()


def start_attempt(
    harness: WorkerHarness, context: WorkerContext, attempts: list[SupervisedAttempt]
) -> SupervisedAttempt:
    """Submit a job, start an attempt and wait until the job is running."""
    harness.submit()
    attempts.append(SupervisedAttempt(context, harness.claim_job(context)))
    wait_until(lambda: harness.get_job(attempts[-1].claim.job_id).status == "running")
    return attempts[-1]


def last_attempt(harness: WorkerHarness, job_id: str) -> Attempt:
    with harness.database.read() as session:
        return queries.list_attempts(session, job_id)[-1]


def list_leftovers(context: WorkerContext) -> list[Path]:
    return [path for path in context.scratch.iterdir() if path.name != "cache"]


def list_statuses(harness: WorkerHarness, job_id: str) -> list[str]:
    return [data["to"] for kind, data in harness.events(job_id) if kind == "status"]


def test_a_successful_job_publishes_its_model_with_its_files(harness: WorkerHarness) -> None:
    job_id = harness.submit(name="pets")
    context = harness.create_context(
        'emit("phase", phase="training")\nstep(10)\n'
        'emit("phase", phase="exporting")\nexport(b"weights")\nfinish()'
    )
    job = harness.run_next_job(context)
    assert list_statuses(harness, job_id) == [
        "queued",
        "starting",
        "running",
        "exporting",
        "succeeded",
    ]
    assert (job.progress["fraction"], job.worker_id) == (1.0, None)
    with harness.database.read() as session:
        assert model_versions.get(session, job.model_id or "").name == "pets"
        (file,) = model_versions.list_files(session, job.model_id or "")
    assert b"".join(harness.store.read(file.sha256)) == b"weights"
    assert last_attempt(harness, job_id).status == "succeeded"
    assert list_leftovers(context) == []


def test_the_last_events_of_a_trainer_are_recorded_before_the_end_of_its_job(
    harness: WorkerHarness,
) -> None:
    job_id = harness.submit()
    harness.run_next_job(
        harness.create_context(
            'emit("notice", message="last")\nexport()\nfinish()', progress_seconds=3600
        )
    )
    assert [kind for kind, _ in harness.events(job_id)][-3:] == ["notice", "file", "status"]


def test_a_user_error_fails_the_job_with_its_reason_and_log(harness: WorkerHarness) -> None:
    harness.submit()
    context = harness.create_context(
        'print("nan", file=sys.stderr, flush=True)\nfail("training_diverged")'
    )
    job = harness.run_next_job(context)
    assert (job.status, job.model_id) == ("failed", None)
    assert job.error is not None
    assert (job.error["code"], job.error["attempt"], job.error["log"]) == (
        "training_diverged",
        1,
        ["nan"],
    )
    assert list_leftovers(context) == []


def test_a_crashed_attempt_is_retried_from_its_checkpoint(
    harness: WorkerHarness,
) -> None:
    job_id = harness.submit()
    crash_once = "if not request['resume_from']: save(5); os.kill(os.getpid(), signal.SIGKILL)\n"
    context = harness.create_context(
        crash_once
        + "emit('notice', message=Path(request['resume_from']).read_text())\nexport()\nfinish()"
    )
    assert harness.run_next_job(context).status == "queued"
    assert last_attempt(harness, job_id).status == "failed"
    assert harness.run_next_job(context).status == "succeeded"
    assert {"message": "step 5", "level": "info"} in [
        data for kind, data in harness.events(job_id) if kind == "notice"
    ]


def test_a_trainer_that_always_dies_spends_all_attempts(harness: WorkerHarness) -> None:
    harness.submit(max_attempts=2)
    context = harness.create_context("os.kill(os.getpid(), signal.SIGKILL)")
    assert harness.run_next_job(context).status == "queued"
    job = harness.run_next_job(context)
    assert job.status == "failed"
    assert job.error is not None
    assert (job.error["code"], job.error["cause"]) == ("attempts_spent", "trainer_died")


def test_an_error_before_the_trainer_starts_is_recorded_on_the_job(harness: WorkerHarness) -> None:
    job_id = harness.submit(max_attempts=1)
    claim = harness.claim(worker_id="worker_0")
    assert claim is not None
    harness.store.delete(claim.inputs["dataset"]["digest"])
    context = harness.create_context("finish()")
    supervise(context, claim, (0,), Flag())
    error = harness.get_job(job_id).error
    assert error is not None
    assert (error["code"], error["cause"]) == ("attempts_spent", "worker_error")
    assert claim.inputs["dataset"]["digest"] in error["message"]
    assert list_leftovers(context) == []


@pytest.mark.parametrize(
    "change",
    [
        "attempt_path('student.safetensors').write_bytes(b'other')",
        "attempt_path('student.safetensors').unlink()",
    ],
)
def test_a_file_that_changed_after_it_was_measured_is_not_published(
    harness: WorkerHarness, change: str
) -> None:
    harness.submit(max_attempts=1)
    job = harness.run_next_job(harness.create_context(f"export()\n{change}\nfinish()"))
    assert (job.status, job.model_id) == ("failed", None)
    assert job.error is not None
    assert job.error["cause"] == "worker_error"


def test_an_invalid_report_fails_the_job_and_publishes_nothing(
    harness: WorkerHarness,
) -> None:
    harness.submit(max_attempts=1)
    job = harness.run_next_job(harness.create_context("export()\nemit('finished', report={})"))
    assert job.status == "failed"
    with harness.database.read() as session:
        assert session.query(Model).count() == 0


def test_a_running_job_can_be_cancelled(
    harness: WorkerHarness, started_attempts: list[SupervisedAttempt]
) -> None:
    context = harness.create_context("step(1)\nwait_for_stop()\nsave(1)")
    attempt = start_attempt(harness, context, started_attempts)
    harness.run(controls.cancel, attempt.claim.job_id, actor="key_test")
    attempt.join()
    job = harness.get_job(attempt.claim.job_id)
    assert (job.status, job.error, last_attempt(harness, job.id).status) == (
        "cancelled",
        None,
        "cancelled",
    )
    assert list_leftovers(context) == []


def test_a_returned_job_is_queued_with_its_checkpoint_and_spends_no_attempt(
    harness: WorkerHarness, started_attempts: list[SupervisedAttempt]
) -> None:
    attempt = start_attempt(
        harness, harness.create_context("step(3)\nwait_for_stop()\nsave(3)"), started_attempts
    )
    attempt.drain_event.set()
    attempt.join()
    job = harness.get_job(attempt.claim.job_id)
    assert (job.status, job.spent, job.checkpoint_step, job.worker_id) == ("queued", 0, 3, None)
    assert last_attempt(harness, job.id).status == "returned"


def test_a_worker_that_lost_its_lease_writes_nothing(
    harness: WorkerHarness, started_attempts: list[SupervisedAttempt]
) -> None:
    # The interval is so long that no heartbeat is sent during the test.
    context = harness.create_context(
        "read_message()\nexport()\nfinish()\nwait_for_stop()", progress_seconds=3600
    )
    attempt = start_attempt(harness, context, started_attempts)
    harness.expire_lease(attempt.claim)
    harness.run(expire_leases)
    successor = harness.claim(worker_id="worker_other")
    assert successor is not None
    assert successor.attempt == 2
    before = harness.events(successor.job_id)
    attempt.drain_event.set()  # the trainer ignores the stop request and finishes
    attempt.join()
    job = harness.get_job(successor.job_id)
    assert (job.status, job.worker_id, job.model_id) == ("starting", "worker_other", None)
    assert harness.events(successor.job_id) == before
    assert list_leftovers(context) == []


def test_the_result_is_recorded_once_the_database_is_available_again(
    harness: WorkerHarness,
    started_attempts: list[SupervisedAttempt],
    caplog: pytest.LogCaptureFixture,
) -> None:
    attempt = start_attempt(
        harness,
        harness.create_context("read_message()\nexport()\nfinish()", progress_seconds=3600),
        started_attempts,
    )
    with harness.database_unavailable():
        attempt.drain_event.set()
        wait_until(lambda: "Database unavailable" in caplog.text)
    attempt.join()
    assert harness.get_job(attempt.claim.job_id).status == "succeeded"


def test_a_running_trainer_receives_keep_alives(harness: WorkerHarness) -> None:
    harness.submit()
    read_keep_alive = "assert read_message() == {}\n"
    context = harness.create_context(2 * read_keep_alive + "export()\nfinish()")
    assert harness.run_next_job(context).status == "succeeded"


def test_the_next_trainer_is_loaded_while_a_job_runs(
    harness: WorkerHarness, started_attempts: list[SupervisedAttempt]
) -> None:
    context = harness.create_context("wait_for_stop()")
    start_attempt(harness, context, started_attempts)
    assert context.trainer_pool._idle is not None
    assert context.trainer_pool._idle.is_alive()


def test_a_checked_data_set_is_packed_and_its_waiting_jobs_are_queued(
    harness: WorkerHarness,
) -> None:
    dataset_id = harness.upload_dataset()
    job_id = harness.submit(dataset={"id": dataset_id})
    assert harness.get_job(job_id).status == "validating"
    context = harness.create_context(PACK_DATASET + REPORT_DATASET)
    assert harness.run_next_job(context, QueueName.CHECKS).status == "succeeded"
    with harness.database.read() as session:
        dataset = datasets.get(session, dataset_id)
    assert (dataset.status, dataset.classes, dataset.splits) == (
        "ready",
        ["a", "b"],
        {"train": 8, "val": 4},
    )
    assert b"".join(harness.store.read(dataset.packed_sha256 or "")) == b"packed images"
    assert b"".join(harness.store.read(dataset.samples_sha256 or "")) == b"a picture"
    job = harness.get_job(job_id)
    images = {
        "digest": dataset.packed_sha256,
        "filename": PACKED_FILE,
        "name": dataset.name,
        "sha256": dataset.sha256,
    }
    assert (job.status, job.inputs) == ("queued", {"teacher": None, "dataset": images})
    assert harness.queue.sent == [("train", job_id)]


def test_a_checked_teacher_has_the_recognized_architecture(harness: WorkerHarness) -> None:
    teacher_id = harness.upload_teacher()
    harness.run_next_job(harness.create_context(REPORT_TEACHER), QueueName.CHECKS)
    with harness.database.read() as session:
        teacher = teachers.get(session, teacher_id)
    assert (teacher.status, teacher.architecture, teacher.num_classes) == ("ready", "resnet20", 2)


def test_a_refused_upload_keeps_its_error_and_no_file(harness: WorkerHarness) -> None:
    dataset_id = harness.upload_dataset()
    harness.run_next_job(harness.create_context("fail('archive_refused')"), QueueName.CHECKS)
    with harness.database.read() as session:
        dataset = datasets.get(session, dataset_id)
    assert dataset.status == "invalid"
    assert (dataset.error or {})["code"] == "archive_refused"
    assert not harness.store.exists(dataset.sha256)


def test_inputs_and_results_are_kept_in_a_remote_store(
    harness: WorkerHarness, tmp_path: Path
) -> None:
    remote = Store("memory:///", scratch=tmp_path / "incoming")
    harness.store = remote
    harness.submit()
    body = "export(Path(request['spec']['dataset']['path']).read_bytes())\nfinish()"
    job = harness.run_next_job(harness.create_context(body, store=remote))
    with harness.database.read() as session:
        (file,) = model_versions.list_files(session, job.model_id or "")
    assert b"".join(remote.read(file.sha256)).startswith(b"content ")


def test_a_job_that_is_cancelled_while_it_finishes_leaves_no_model(
    harness: WorkerHarness, started_attempts: list[SupervisedAttempt]
) -> None:
    context = harness.create_context(
        "read_message()\nexport()\nfinish()\nwait_for_stop()", progress_seconds=3600
    )
    attempt = start_attempt(harness, context, started_attempts)
    harness.run(controls.cancel, attempt.claim.job_id, actor="key_test")
    attempt.drain_event.set()
    attempt.join()
    job = harness.get_job(attempt.claim.job_id)
    assert (job.status, job.model_id) == ("cancelled", None)
