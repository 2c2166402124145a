"""A worker's hold on a job: claiming, fencing, ending."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from registry import artifacts, claims, jobs, models, offers, sweeps
from registry.claims import News, Point
from registry.errors import Fenced, MoveRefused, NotFound
from registry.lifecycle import JobStatus
from registry.tables import AuditEvent, Dataset, Job, Model, Teacher

World = Any  # tests/registry/conftest.py
LEASE = timedelta(seconds=60)
USER_ERROR = {"code": "teacher_at_chance", "message": "It guesses.", "hint": "Check the classes.", "retryable": False}
MISHAP = {"code": "trainer_died", "message": "Killed.", "hint": "More memory.", "retryable": True}


def test_the_best_job_is_taken_by_priority_then_age(world: World) -> None:
    dataset = {"id": world.ready_dataset()}
    old, young = world.submit(dataset=dataset), world.submit(dataset=dataset)
    urgent = world.submit(dataset=dataset, priority=5)
    assert [world.claim().job_id for _ in range(3)] == [urgent, old, young]
    assert world.claim() is None


def test_a_claim_takes_only_from_its_queues(world: World) -> None:
    world.dataset()
    assert world.claim(offers.TRAIN) is None
    assert world.claim("checks").kind == "check_dataset"


def test_a_claim_carries_what_the_worker_needs(world: World) -> None:
    teacher, dataset = world.ready_teacher(), world.ready_dataset()
    world.submit(teacher={"id": teacher}, dataset={"id": dataset}, training={"epochs": 3})
    claim = world.claim()
    assert (claim.attempt, claim.kind, claim.resume_from) == (1, "distill", None)
    assert claim.spec["training"]["epochs"] == 3
    assert set(claim.inputs) == {"teacher", "dataset"}


def test_the_life_of_a_job_that_succeeds(world: World) -> None:
    claim = world.running()
    world.do(claims.heartbeat, claim, lease=LEASE, facts={"phase": "training", "epoch": 1, "epochs": 2, "step": 5, "steps": 10})
    progress = world.job(claim.job_id).progress
    assert (progress["phase"], progress["step"], progress["fraction"]) == ("training", 5, 0.475)
    world.do(claims.enter, claim, JobStatus.EXPORTING)
    model = world.finish(claim)
    job = world.job(claim.job_id)
    assert (job.status, job.model_id, job.progress["fraction"], job.worker_id) == ("succeeded", model, 1.0, None)
    assert job.created_at <= job.started_at <= job.finished_at
    with world.database.read() as session:
        assert [(attempt.number, attempt.status) for attempt in jobs.attempts(session, job.id)] == [(1, "succeeded")]
        moves = (
            session.execute(select(AuditEvent.action).where(AuditEvent.subject == job.id).order_by(AuditEvent.id)).scalars().all()
        )
    assert moves == ["job.created", "job.starting", "job.running", "job.exporting", "job.succeeded"]


def test_the_model_has_the_report_and_the_measured_files(world: World) -> None:
    claim = world.running(name="small")
    model_id = world.finish(claim)
    with world.database.read() as session:
        model = models.get(session, model_id)
        file = models.file(session, model_id, "student.safetensors")
        with pytest.raises(NotFound):
            models.file(session, model_id, "student.onnx")
    assert (model.name, model.job_id, model.parameters, model.metrics["student"]["top1"]) == ("small", claim.job_id, 78_042, 0.9)
    assert model.metrics["student"]["nll"] is None  # it was not a number, which JSON does not have
    assert (file.top1, file.latency_ms, world.store.exists(file.sha256)) == (0.9, 1.5, True)


WRITES = {
    "heartbeat": lambda session, claim: claims.heartbeat(session, claim, lease=LEASE),
    "enter": lambda session, claim: claims.enter(session, claim, JobStatus.EXPORTING),
    "record": lambda session, claim: claims.record(
        session, claim, News(events=[("notice", {})], points=[Point(1, 1, {"loss": 1.0})])
    ),
    "checkpoint": lambda session, claim: claims.checkpoint(session, claim, "key", 1),
    "finish": lambda session, claim: claims.finish(session, claim, report={}, files=[]),
    "finish_check": lambda session, claim: claims.finish_check(session, claim, report={}),
    "fail": lambda session, claim: claims.fail(session, claim, error=USER_ERROR),
    "cancelled": claims.cancelled,
    "give_back": claims.give_back,
}


def test_a_worker_that_lost_its_lease_can_write_nothing(world: World) -> None:
    first = world.running()
    world.lose_lease(first)
    assert world.do(sweeps.expire).hints == [("train", first.job_id)]
    second = world.claim(worker_id="worker_2")
    assert fenced(world, first) == list(WRITES)
    world.do(claims.enter, second, JobStatus.RUNNING)
    world.finish(second)
    assert fenced(world, second) == list(WRITES)  # it has ended


def fenced(world: World, claim: claims.Claim) -> list[str]:
    """The writes that were refused and changed nothing."""
    before, refused = snapshot(world, claim.job_id), []
    for name, write in WRITES.items():
        with pytest.raises(Fenced):
            world.do(write, claim)
        refused += [name] if snapshot(world, claim.job_id) == before else []
    return refused


def snapshot(world: World, job_id: str) -> Any:
    with world.database.read() as session:
        job = jobs.get(session, job_id)
        row = {column.key: getattr(job, column.key) for column in job.__mapper__.column_attrs}
        events = [event.seq for event in jobs.events(session, job_id)]
        return row, events, len(jobs.metrics(session, job_id)), len(session.execute(select(Model)).all())


def test_a_lost_lease_gives_the_job_to_the_next_worker_from_its_checkpoint(world: World) -> None:
    first = world.running()
    assert world.do(claims.checkpoint, first, "checkpoints/1", 10) is None
    assert world.do(claims.checkpoint, first, "checkpoints/2", 20) == "checkpoints/1"
    world.lose_lease(first)
    world.do(sweeps.expire)
    second = world.claim(worker_id="worker_2")
    assert (second.job_id, second.attempt, second.resume_from) == (first.job_id, 2, "checkpoints/2")
    with world.database.read() as session:
        assert [attempt.status for attempt in jobs.attempts(session, first.job_id)] == ["lost", "running"]


def test_a_lease_that_is_renewed_does_not_expire(world: World) -> None:
    claim = world.running()
    world.lose_lease(claim)
    world.do(claims.heartbeat, claim, lease=LEASE)
    assert world.do(sweeps.expire).hints == []
    assert world.job(claim.job_id).status == "running"


def test_a_job_whose_workers_always_fall_silent_fails(world: World) -> None:
    job = world.submit(max_attempts=2)
    for _ in range(2):
        world.lose_lease(world.claim())
        world.do(sweeps.expire)
    assert (world.job(job).status, world.job(job).error["code"], world.job(job).error["cause"]) == (
        "failed",
        "attempts_spent",
        "worker_lost",
    )


def test_a_users_error_is_final(world: World) -> None:
    claim = world.running()
    world.do(claims.fail, claim, error=USER_ERROR, log_tail=[f"line {number}" for number in range(150)])
    job = world.job(claim.job_id)
    assert (job.status, job.error["code"], job.error["hint"], job.error["attempt"]) == (
        "failed",
        "teacher_at_chance",
        "Check the classes.",
        1,
    )
    assert (len(job.error["log"]), job.error["log"][-1]) == (100, "line 149")


def test_a_mishap_is_tried_again_after_a_pause_until_the_attempts_are_spent(world: World) -> None:
    claim = world.running(max_attempts=2)
    world.do(claims.fail, claim, error=MISHAP, log_tail=["boom"], retry_after=timedelta(hours=1))
    assert world.job(claim.job_id).status == "queued"
    assert world.claim() is None  # not yet
    world.do(lambda session: setattr(session.get_one(Job, claim.job_id), "not_before", None))  # an hour later
    world.do(claims.fail, world.claim(), error=MISHAP)
    job = world.job(claim.job_id)
    assert (job.status, job.error["code"], job.error["hint"]) == ("failed", "attempts_spent", "More memory.")
    assert "Killed." in job.error["message"]


def test_a_corrupt_checkpoint_is_not_used_again(world: World) -> None:
    claim = world.running()
    world.do(claims.checkpoint, claim, "checkpoints/1", 10)
    world.do(claims.fail, claim, error={**MISHAP, "code": "checkpoint_corrupt"})
    assert world.claim().resume_from is None


def test_giving_back_spends_no_attempt(world: World) -> None:
    job = world.submit(max_attempts=1)
    for number in (1, 2, 3):
        claim = world.claim()
        assert claim.attempt == number
        world.do(claims.give_back, claim)
    assert (world.job(job).status, world.job(job).spent) == ("queued", 0)


@pytest.mark.parametrize("end", ["finish", "fail", "give_back", "expire"])
def test_a_job_that_is_being_cancelled_ends_cancelled_however_it_ends(world: World, end: str) -> None:
    claim = world.running()
    world.do(jobs.cancel, claim.job_id, actor="key")
    if end == "finish":
        assert world.finish(claim) is None
    elif end == "fail":
        world.do(claims.fail, claim, error=MISHAP)
    elif end == "give_back":
        world.do(claims.give_back, claim)
    else:
        world.lose_lease(claim)
        world.do(sweeps.expire)
    job = world.job(claim.job_id)
    assert (job.status, job.model_id) == ("cancelled", None)


def test_nobody_cancels_what_was_not_asked_to(world: World) -> None:
    with pytest.raises(MoveRefused):
        world.do(claims.cancelled, world.running())


def test_a_failed_check_makes_the_upload_invalid_and_leaves_no_file(world: World) -> None:
    dataset = world.dataset()
    world.fail_check("It is no archive.")
    with world.database.read() as session:
        row = session.get_one(Dataset, dataset)
    assert (row.status, row.error["message"], world.store.exists(row.sha256)) == ("invalid", "It is no archive.", False)


def test_a_file_that_another_upload_names_is_kept(world: World) -> None:
    world.teacher(b"the same bytes")
    other = world.teacher(b"the same bytes")
    world.fail_check()
    world.pass_check()
    with world.database.read() as session:
        digest = session.get_one(Teacher, other).sha256
    assert world.store.exists(digest)


def test_a_check_whose_trainer_always_dies_makes_the_upload_invalid(world: World) -> None:
    dataset = world.dataset()
    job = world.submit(dataset={"id": dataset})
    for _ in range(3):
        world.do(claims.fail, world.claim("checks"), error=MISHAP)
    assert world.job(job).error["code"] == "dataset_invalid"
    assert "Killed." in world.job(job).error["message"]


def test_files_without_a_row_are_found_and_forgotten(world: World) -> None:
    model = world.finish(world.running())
    stray = world.put(b"stray")
    world.do(artifacts.record, world.store, stray)
    with world.database.read() as session:
        assert [row.digest for row in artifacts.unnamed(session)] == [stray.digest]
    assert world.do(artifacts.forget, world.store, stray.digest) is True
    assert world.store.exists(stray.digest) is False
    with world.database.read() as session:
        (file,) = models.files(session, model)
    assert world.do(artifacts.forget, world.store, file.sha256) is False
