"""Tests for jobs that a client or a deadline stops while a real trainer runs them."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from threading import Event as Flag
from threading import Thread

import pytest

from registry.attempts import trainer_logs
from registry.db.database import now
from registry.db.job_tables import Job
from registry.jobs import controls, queries
from registry.jobs.queue_names import QueueName
from registry.models import model_versions
from tests.worker.conftest import WorkerHarness, wait_until
from worker.attempt_supervisor import supervise
from worker.context import WorkerContext
from worker.worker_process import TRAINER_COMMAND

LONG_TRAINING = {"epochs": 60, "batch_size": 16, "learning_rate": 0.1, "flip": False}


@pytest.fixture
def context(stripes_harness: WorkerHarness) -> WorkerContext:
    return stripes_harness.create_context(TRAINER_COMMAND, progress_seconds=0.05, stop_seconds=60)


@pytest.fixture
def submit(stripes_harness: WorkerHarness, context: WorkerContext) -> Callable[..., str]:
    """Return a function that submits a training job on the stripes dataset.

    The fixture uploads the dataset and has a real trainer check it.
    """
    dataset_id = stripes_harness.upload_dataset()
    assert stripes_harness.run_next_job(context, QueueName.CHECKS).status == "succeeded"
    defaults = {"training": LONG_TRAINING, "export": ["safetensors"]}
    return lambda **fields: stripes_harness.submit(
        dataset={"id": dataset_id}, **{**defaults, **fields}
    )


class AttemptStarter:
    """Claims the next job and runs the attempt in a new thread."""

    def __init__(self, harness: WorkerHarness, context: WorkerContext) -> None:
        self.harness, self.context = harness, context
        self.threads: list[Thread] = []
        self.drain_event = Flag()

    def start_next(self) -> None:
        claim = self.harness.claim_job(self.context)
        arguments = (self.context, claim, (0,), self.drain_event)
        self.threads.append(Thread(target=supervise, args=arguments))
        self.threads[-1].start()


@pytest.fixture
def attempt_starter(
    stripes_harness: WorkerHarness, context: WorkerContext
) -> Iterator[AttemptStarter]:
    starter = AttemptStarter(stripes_harness, context)
    yield starter
    starter.drain_event.set()
    for thread in starter.threads:
        thread.join()


def wait_for_progress(harness: WorkerHarness, job_id: str) -> None:
    """Wait until the job has trained some steps, and assert that it is far from finished."""
    wait_until(lambda: (harness.get_job(job_id).progress.get("step") or 0) > 20)
    assert harness.get_job(job_id).progress["fraction"] < 0.9


def weights_digest(harness: WorkerHarness, job_id: str) -> str:
    with harness.database.read() as session:
        (file,) = model_versions.list_files(session, harness.get_job(job_id).model_id or "")
    return file.sha256


def list_attempt_statuses(harness: WorkerHarness, job_id: str) -> list[str]:
    with harness.database.read() as session:
        return [attempt.status for attempt in queries.list_attempts(session, job_id)]


def test_a_paused_and_resumed_job_has_the_weights_of_an_uninterrupted_one(
    stripes_harness: WorkerHarness,
    context: WorkerContext,
    submit: Callable[..., str],
    attempt_starter: AttemptStarter,
) -> None:
    job_id = submit()
    attempt_starter.start_next()
    wait_for_progress(stripes_harness, job_id)
    stripes_harness.run(controls.pause, job_id, actor="key_test")
    wait_until(lambda: stripes_harness.get_job(job_id).status == "paused")
    paused = stripes_harness.get_job(job_id)
    assert paused.checkpoint_step is not None
    assert stripes_harness.claim() is None
    stripes_harness.run(controls.resume, job_id, actor="key_test")
    assert stripes_harness.run_next_job(context).status == "succeeded"
    with stripes_harness.database.read() as session:
        first, second = queries.list_attempts(session, job_id)
    assert (first.status, second.resumed_step) == ("paused", paused.checkpoint_step)
    uninterrupted = submit()
    stripes_harness.run_next_job(context)
    assert weights_digest(stripes_harness, job_id) == weights_digest(stripes_harness, uninterrupted)


def test_a_job_past_its_deadline_expires_and_its_retry_resumes_from_the_checkpoint(
    stripes_harness: WorkerHarness,
    context: WorkerContext,
    submit: Callable[..., str],
    attempt_starter: AttemptStarter,
) -> None:
    job_id = submit(max_seconds=3600)
    attempt_starter.start_next()
    wait_for_progress(stripes_harness, job_id)
    stripes_harness.run(
        lambda session: setattr(session.get_one(Job, job_id), "expires_at", now(session))
    )
    wait_until(lambda: stripes_harness.get_job(job_id).status == "expired")
    expired = stripes_harness.get_job(job_id)
    assert expired.checkpoint_step is not None
    assert (expired.error or {})["code"] == "deadline_passed"
    stripes_harness.run(controls.retry, job_id, actor="key_test", overrides={})
    retried = stripes_harness.run_next_job(context)
    assert (retried.status, list_attempt_statuses(stripes_harness, job_id)) == (
        "succeeded",
        ["expired", "succeeded"],
    )
    assert retried.expires_at is not None
    assert retried.expires_at > read_time(stripes_harness) + timedelta(minutes=50)


def read_time(harness: WorkerHarness) -> datetime:
    with harness.database.read() as session:
        return now(session)


def test_a_cancelled_job_can_be_retried_from_its_checkpoint(
    stripes_harness: WorkerHarness,
    context: WorkerContext,
    submit: Callable[..., str],
    attempt_starter: AttemptStarter,
) -> None:
    job_id = submit()
    attempt_starter.start_next()
    wait_for_progress(stripes_harness, job_id)
    stripes_harness.run(controls.cancel, job_id, actor="key_test")
    wait_until(lambda: stripes_harness.get_job(job_id).status == "cancelled")
    assert stripes_harness.get_job(job_id).checkpoint_step is not None
    stripes_harness.run(controls.retry, job_id, actor="key_test", overrides={})
    assert stripes_harness.run_next_job(context).status == "succeeded"
    uninterrupted = submit()
    stripes_harness.run_next_job(context)
    assert weights_digest(stripes_harness, job_id) == weights_digest(stripes_harness, uninterrupted)


def test_the_log_of_a_failed_job_contains_the_traceback(
    stripes_harness: WorkerHarness, context: WorkerContext, submit: Callable[..., str]
) -> None:
    diverging = {"learning_rate": 100, "momentum": 0.99, "max_grad_norm": 0}
    job_id = submit(training={**LONG_TRAINING, **diverging})
    assert stripes_harness.run_next_job(context).status == "failed"
    with stripes_harness.database.read() as session:
        lines = [row.line for row in trainer_logs.list_lines(session, job_id)]
    assert "Traceback (most recent call last):" in lines
    assert (stripes_harness.get_job(job_id).error or {})["log"] == lines[-100:]
