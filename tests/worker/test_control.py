"""Jobs of real trainers, stopped on their way by what clients wish, and by time."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any

import pytest

from registry import controls, jobs, logs, models
from registry.db import now
from registry.tables import Job
from registry.uploads import CHECKS
from tests.worker.conftest import Workshop, soon
from worker.kit import Kit
from worker.main import TRAINER
from worker.supervisor import supervise

LONG = {"epochs": 60, "batch_size": 16, "learning_rate": 0.1, "flip": False}


@pytest.fixture
def striped(workshop: Workshop, stripes: Path) -> Workshop:
    """A workshop whose uploads are the stripes."""
    workshop.put = lambda content=None: workshop.store.put([content or stripes.read_bytes()])  # type: ignore[method-assign]
    return workshop


@pytest.fixture
def kit(striped: Workshop) -> Kit:
    return striped.kit(TRAINER, progress_seconds=0.05, stop_seconds=60)


@pytest.fixture
def submit(striped: Workshop, kit: Kit) -> Callable[..., str]:
    """Submits the same training over the stripes, which were checked by a real trainer."""
    dataset_id = striped.dataset()
    assert striped.run(kit, CHECKS).status == "succeeded"
    return lambda **parts: striped.submit(dataset={"id": dataset_id}, **{"training": LONG, "export": ["safetensors"], **parts})


class Attempts:
    """Attempts of the next job, one after the other, in threads."""

    def __init__(self, workshop: Workshop, kit: Kit) -> None:
        self.workshop, self.kit, self.threads = workshop, kit, list[Thread]()
        self.draining = Flag()

    def begin(self) -> None:
        claim = self.workshop.take(self.kit)
        self.threads.append(Thread(target=supervise, args=(self.kit, claim, (0,), self.draining)))
        self.threads[-1].start()


@pytest.fixture
def attempts(striped: Workshop, kit: Kit) -> Iterator[Attempts]:
    attempts = Attempts(striped, kit)
    yield attempts
    attempts.draining.set()
    for thread in attempts.threads:
        thread.join()


def in_the_middle(workshop: Workshop, job_id: str) -> None:
    """Returns once the job has trained a bit, long before its end."""
    soon(lambda: (workshop.job(job_id).progress.get("step") or 0) > 20)
    assert workshop.job(job_id).progress["fraction"] < 0.9


def weights(workshop: Workshop, job_id: str) -> str:
    with workshop.database.read() as session:
        (file,) = models.files(session, workshop.job(job_id).model_id or "")
    return file.sha256


def outcomes(workshop: Workshop, job_id: str) -> list[str]:
    with workshop.database.read() as session:
        return [attempt.status for attempt in jobs.attempts(session, job_id)]


def test_a_job_that_was_paused_and_resumed_ends_with_the_weights_of_an_undisturbed_one(
    striped: Workshop, kit: Kit, submit: Callable[..., str], attempts: Attempts
) -> None:
    job_id = submit()
    attempts.begin()
    in_the_middle(striped, job_id)
    striped.do(controls.pause, job_id, actor="key_test")
    soon(lambda: striped.job(job_id).status == "paused")
    paused = striped.job(job_id)
    assert paused.checkpoint_step is not None
    assert striped.claim() is None
    striped.do(controls.resume, job_id, actor="key_test")
    assert striped.run(kit).status == "succeeded"
    with striped.database.read() as session:
        first, second = jobs.attempts(session, job_id)
    assert (first.status, second.resumed_step) == ("paused", paused.checkpoint_step)
    undisturbed = submit()
    striped.run(kit)
    assert weights(striped, job_id) == weights(striped, undisturbed)


def test_a_job_whose_time_is_over_expires_and_its_retry_goes_on_from_the_checkpoint(
    striped: Workshop, kit: Kit, submit: Callable[..., str], attempts: Attempts
) -> None:
    job_id = submit(max_seconds=3600)
    attempts.begin()
    in_the_middle(striped, job_id)
    striped.do(lambda session: setattr(session.get_one(Job, job_id), "expires_at", now(session)))
    soon(lambda: striped.job(job_id).status == "expired")
    expired = striped.job(job_id)
    assert expired.checkpoint_step is not None
    assert (expired.error or {})["code"] == "deadline_passed"
    striped.do(controls.retry, job_id, actor="key_test", more_time={})
    again = striped.run(kit)
    assert (again.status, outcomes(striped, job_id)) == ("succeeded", ["expired", "succeeded"])
    assert again.expires_at is not None
    assert again.expires_at > now_of(striped) + timedelta(minutes=50)


def now_of(workshop: Workshop) -> Any:
    with workshop.database.read() as session:
        return now(session)


def test_a_cancelled_job_can_be_taken_up_again(
    striped: Workshop, kit: Kit, submit: Callable[..., str], attempts: Attempts
) -> None:
    job_id = submit()
    attempts.begin()
    in_the_middle(striped, job_id)
    striped.do(jobs.cancel, job_id, actor="key_test")
    soon(lambda: striped.job(job_id).status == "cancelled")
    assert striped.job(job_id).checkpoint_step is not None
    striped.do(controls.retry, job_id, actor="key_test", more_time={})
    assert striped.run(kit).status == "succeeded"
    undisturbed = submit()
    striped.run(kit)
    assert weights(striped, job_id) == weights(striped, undisturbed)


def test_the_trace_of_a_failed_job_stands_in_its_log(striped: Workshop, kit: Kit, submit: Callable[..., str]) -> None:
    job_id = submit(training={**LONG, "learning_rate": 100, "momentum": 0.99})
    assert striped.run(kit).status == "failed"
    with striped.database.read() as session:
        lines = [row.line for row in logs.page(session, job_id)]
    assert "Traceback (most recent call last):" in lines
    assert (striped.job(job_id).error or {})["log"] == lines[-100:]
