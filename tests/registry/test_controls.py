"""What clients do with a job in each state: what follows, and what is refused."""

from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest

from registry import claims, controls, deadlines, jobs, sweeps
from registry.errors import DeadlinePassed, JobEnded, JobNotEnded, MoveRefused, RegistryError
from registry.lifecycle import JobStatus

World = Any  # tests/registry/conftest.py
MISHAP = {"code": "trainer_died", "message": "Killed.", "hint": "", "retryable": True}
MISTAKE = {"code": "training_diverged", "message": "NaN.", "hint": "", "retryable": False}
LEASE = timedelta(seconds=60)


def cancel(world: World, job_id: str) -> Any:
    return world.do(jobs.cancel, job_id, actor="key")


def pause(world: World, job_id: str) -> Any:
    return world.do(controls.pause, job_id, actor="key")


def resume(world: World, job_id: str) -> Any:
    return world.do(controls.resume, job_id, actor="key")


def retry(world: World, job_id: str, **options: Any) -> Any:
    return world.do(controls.retry, job_id, actor="key", **{"more_time": {}, **options})


ACTIONS = {"cancel": cancel, "pause": pause, "resume": resume, "retry": retry}


def in_state(world: World, status: str) -> str:
    """A job that came to that state as jobs do."""
    if status == "validating":
        return world.submit(dataset={"id": world.dataset()})
    job_id = world.submit()
    if status == "queued":
        return job_id
    if status == "expired":
        world.do(lambda session: setattr(session.get_one(jobs.Job, job_id), "expires_at", jobs.now(session)))
        world.do(deadlines.expire_waiting)
        return job_id
    if status == "paused":
        pause(world, job_id)
        return job_id
    claim = world.claim()
    if status != "starting":
        world.do(claims.enter, claim, JobStatus.RUNNING)
    steps = {
        "exporting": lambda: world.do(claims.enter, claim, JobStatus.EXPORTING),
        "succeeded": lambda: world.finish(claim),
        "failed": lambda: world.do(claims.fail, claim, error=MISTAKE),
        "cancelling": lambda: cancel(world, job_id),
        "pausing": lambda: pause(world, job_id),
        "cancelled": lambda: (cancel(world, job_id), world.do(claims.cancelled, claim)),
    }
    steps.get(status, lambda: None)()
    return job_id


# In this state: what cancel, pause, resume and retry make of the job, or the code with which they are refused.
TABLE = {
    "validating": ("cancelled", "move_refused", "move_refused", "job_not_ended"),
    "queued": ("cancelled", "paused", "queued", "job_not_ended"),
    "starting": ("cancelling", "pausing", "starting", "job_not_ended"),
    "running": ("cancelling", "pausing", "running", "job_not_ended"),
    "exporting": ("cancelling", "move_refused", "exporting", "job_not_ended"),
    "pausing": ("cancelling", "pausing", "running", "job_not_ended"),
    "paused": ("cancelled", "paused", "queued", "job_not_ended"),
    "cancelling": ("cancelling", "move_refused", "move_refused", "job_not_ended"),
    "succeeded": ("job_ended", "job_ended", "job_ended", "job_ended"),
    "failed": ("job_ended", "job_ended", "job_ended", "queued"),
    "cancelled": ("cancelled", "job_ended", "job_ended", "queued"),
    "expired": ("job_ended", "job_ended", "job_ended", "queued"),
}


def test_the_table_knows_every_state() -> None:
    assert set(TABLE) == set(JobStatus)


@pytest.mark.parametrize("status", TABLE)
def test_every_wish_in_every_state_is_done_or_refused_by_the_table(world: World, status: str) -> None:
    found = []
    for action in ACTIONS.values():
        job_id = in_state(world, status)
        assert world.job(job_id).status == status
        try:
            action(world, job_id)
        except RegistryError as refusal:
            assert world.job(job_id).status == status
            found.append(refusal.code)
        else:
            found.append(world.job(job_id).status)
        if world.job(job_id).status == "queued":
            cancel(world, job_id)  # the next one is to be claimed by itself
    assert tuple(found) == TABLE[status]


def test_a_paused_job_is_not_claimed_and_goes_on_from_its_checkpoint(world: World) -> None:
    first = world.running()
    pause(world, first.job_id)
    assert world.do(claims.heartbeat, first, lease=LEASE).stop == "pause"
    world.do(claims.checkpoint, first, "checkpoints/1", 10)
    world.do(claims.give_back, first)
    job = world.job(first.job_id)
    assert (job.status, job.spent, job.worker_id) == ("paused", 0, None)
    assert world.claim() is None
    resume(world, first.job_id)
    second = world.claim()
    assert (second.attempt, second.resume_from) == (2, "checkpoints/1")
    with world.database.read() as session:
        rows = jobs.attempts(session, first.job_id)
    assert [(row.status, row.resumed_step, row.saved_step) for row in rows] == [("paused", None, 10), ("running", 10, None)]


def test_a_job_that_finishes_while_it_is_paused_has_succeeded(world: World) -> None:
    claim = world.running()
    pause(world, claim.job_id)
    world.do(claims.enter, claim, JobStatus.EXPORTING)
    assert world.job(claim.job_id).status == "pausing"
    assert world.finish(claim) is not None
    assert world.job(claim.job_id).status == "succeeded"


def test_a_mishap_while_it_is_paused_leaves_the_job_paused_and_a_mistake_ends_it(world: World) -> None:
    for error, status in ((MISHAP, "paused"), (MISTAKE, "failed")):
        claim = world.running()
        pause(world, claim.job_id)
        world.do(claims.fail, claim, error=error)
        assert world.job(claim.job_id).status == status


def test_a_lease_that_is_lost_while_it_is_paused_leaves_the_job_paused(world: World) -> None:
    claim = world.running()
    pause(world, claim.job_id)
    world.lose_lease(claim)
    assert world.do(sweeps.expire).hints == []
    assert world.job(claim.job_id).status == "paused"


def test_a_pause_that_was_taken_back_before_the_worker_stopped_queues_the_job(world: World) -> None:
    claim = world.running()
    pause(world, claim.job_id)
    resume(world, claim.job_id)
    assert world.do(claims.heartbeat, claim, lease=LEASE).stop is None
    world.do(claims.give_back, claim)  # it had heard of the pause
    assert world.job(claim.job_id).status == "queued"


def test_a_cancel_comes_before_a_pause_and_force_before_grace(world: World) -> None:
    claim = world.running()
    pause(world, claim.job_id)
    cancel(world, claim.job_id)
    assert world.do(claims.heartbeat, claim, lease=LEASE).stop == "cancel"
    world.do(jobs.cancel, claim.job_id, actor="key", force=True)
    assert world.do(claims.heartbeat, claim, lease=LEASE).stop == "kill"
    world.do(claims.give_back, claim)
    assert world.job(claim.job_id).status == "cancelled"


def failed_at(world: World, step: int) -> str:
    claim = world.running()
    world.do(claims.checkpoint, claim, f"checkpoints/{step}", step)
    world.do(claims.record, claim, claims.News(points=[claims.Point(step, 1, {"loss": 1.0})]))
    world.do(claims.heartbeat, claim, lease=LEASE, facts={"step": step, "steps": 2 * step})
    world.do(claims.fail, claim, error=MISTAKE)
    return claim.job_id


def test_a_retry_goes_on_from_the_last_checkpoint_with_all_attempts_before_it(world: World) -> None:
    job_id = failed_at(world, 10)
    assert retry(world, job_id).status == "queued"
    job = world.job(job_id)
    assert (job.error, job.spent, job.finished_at, job.attempt, job.progress["step"]) == (None, 0, None, 1, 10)
    claim = world.claim()
    assert (claim.attempt, claim.resume_from) == (2, "checkpoints/10")
    world.do(claims.enter, claim, JobStatus.RUNNING)
    world.finish(claim)
    assert world.job(job_id).status == "succeeded"


def test_a_retry_from_the_start_forgets_checkpoint_progress_and_metrics(world: World) -> None:
    job_id = failed_at(world, 10)
    retry(world, job_id, from_start=True)
    assert world.job(job_id).progress == {}
    assert world.claim().resume_from is None
    with world.database.read() as session:
        assert jobs.metrics(session, job_id) == []


def test_a_retry_of_a_job_whose_input_was_unfit_is_refused_with_the_reason(world: World) -> None:
    job_id = world.submit(dataset={"id": world.dataset()})
    world.fail_check()
    with pytest.raises(RegistryError) as refused:
        retry(world, job_id)
    assert refused.value.code == "dataset_invalid"
    assert world.job(job_id).status == "failed"


def test_a_retry_after_the_deadline_needs_more_time(world: World) -> None:
    job_id = in_state(world, "queued")

    def overdue(session: Any) -> None:
        job = session.get_one(jobs.Job, job_id)
        job.deadline = job.expires_at = jobs.now(session)

    world.do(overdue)
    world.do(deadlines.expire_waiting)
    with pytest.raises(DeadlinePassed):
        retry(world, job_id)
    assert retry(world, job_id, more_time={"deadline": None}).status == "queued"
    assert world.job(job_id).expires_at is None


def test_refusals_say_what_the_job_is(world: World) -> None:
    job_id = world.submit()
    with pytest.raises(JobNotEnded, match="is queued"):
        retry(world, job_id)
    cancel(world, job_id)
    with pytest.raises(JobEnded, match="has already cancelled") as ended:
        pause(world, job_id)
    assert "Retry" in ended.value.hint
    with pytest.raises(MoveRefused, match="validating cannot become paused"):
        pause(world, in_state(world, "validating"))


def at_once(*actions: Any) -> list[str]:
    """What became of actions that began together: the job's state, or the code of the refusal."""
    barrier, found = Barrier(len(actions)), [""] * len(actions)

    def act(place: int) -> None:
        barrier.wait()
        try:
            found[place] = actions[place]().status
        except RegistryError as refusal:
            found[place] = refusal.code

    threads = [Thread(target=act, args=(place,)) for place in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def moves(world: World, job_id: str) -> list[str]:
    with world.database.read() as session:
        return [event.data["to"] for event in jobs.events(session, job_id) if event.type == "status"]


def test_of_resumes_that_come_at_once_one_moves_the_job(world: World) -> None:
    job_id = in_state(world, "paused")
    assert at_once(*[lambda: resume(world, job_id)] * 4) == ["queued"] * 4
    assert moves(world, job_id) == ["queued", "paused", "queued"]


def test_of_retries_that_come_at_once_one_is_done(world: World) -> None:
    job_id = in_state(world, "failed")
    assert sorted(at_once(*[lambda: retry(world, job_id)] * 4)) == ["job_not_ended"] * 3 + ["queued"]


def test_a_pause_and_the_end_that_come_at_once_leave_a_job_that_succeeded(world: World) -> None:
    claim = world.running()
    found = at_once(lambda: pause(world, claim.job_id), lambda: (world.finish(claim), world.job(claim.job_id))[1])
    assert found[0] in {"pausing", "job_ended"}
    assert (found[1], world.job(claim.job_id).status) == ("succeeded", "succeeded")


def test_a_resume_and_a_cancel_that_come_at_once_leave_no_paused_job(world: World) -> None:
    job_id = in_state(world, "paused")
    found = at_once(lambda: resume(world, job_id), lambda: cancel(world, job_id))
    assert found[0] in {"queued", "job_ended"}
    assert (found[1], world.job(job_id).status) == ("cancelled", "cancelled")
