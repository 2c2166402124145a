"""Tests for the trainer monitor: recorded events, stop requests and the result of an attempt."""

from collections.abc import Iterator
from threading import Event as Flag
from threading import Thread
from typing import Any

import obstore
import pytest

from registry.attempts import claims, trainer_logs
from registry.attempts.claims import Claim
from registry.attempts.maintenance import expire_leases
from registry.db.database import now
from registry.db.job_tables import Job
from registry.jobs import controls, queries
from registry.jobs.lifecycle import JobStatus
from registry.jobs.queue_names import QueueName
from tests.worker.conftest import WorkerHarness, wait_until
from worker.context import WorkerContext
from worker.heartbeat import Heartbeat
from worker.trainer_monitor import TrainerMonitor
from worker.trainer_process import TrainerProcess
from worker.trainer_request import build_request
from worker.trainer_result import TrainerResult

IGNORE_TERM = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


class MonitoredAttempt:
    """Attempt whose trainer is monitored in a thread."""

    def __init__(self, harness: WorkerHarness, context: WorkerContext, claim: Claim) -> None:
        self.harness, self.claim = harness, claim
        directory = context.scratch / "attempt"
        request = build_request(context, claim, directory, (0,))
        harness.run(claims.advance_status, claim, JobStatus.RUNNING)
        self.drain_event = Flag()
        self.heartbeat = Heartbeat(context, claim)
        self.heartbeat.start()
        self.trainer: TrainerProcess = context.trainer_pool.take()
        self.trainer.send_request(request)
        self._results: list[TrainerResult] = []
        monitor = TrainerMonitor(context, claim, self.heartbeat, self.trainer)
        self._thread = Thread(target=lambda: self._results.append(monitor.run(self.drain_event)))
        self._thread.start()

    def result(self) -> TrainerResult:
        self._thread.join()
        self.heartbeat.send()
        (result,) = self._results
        return result

    def close(self) -> None:
        self.trainer.kill()
        self.heartbeat.stop()
        self.trainer.end()
        self._thread.join()

    def events(self, kind: str) -> list[dict[str, Any]]:
        recorded = self.harness.events(self.claim.job_id)
        return [data for event_kind, data in recorded if event_kind == kind]


class AttemptStarter:
    """Submits a job and starts an attempt with a scripted trainer.

    The fixture ends all attempts after the test.
    """

    def __init__(self, harness: WorkerHarness) -> None:
        self.harness = harness
        self.started: list[MonitoredAttempt] = []

    def __call__(self, body: str, *, check: bool = False, **settings: Any) -> MonitoredAttempt:
        if check:
            self.harness.upload_dataset()
        else:
            self.harness.submit()
        context = self.harness.create_context(body, **settings)
        queue = QueueName.CHECKS if check else QueueName.TRAIN
        claim = self.harness.claim_job(context, queue)
        self.started.append(MonitoredAttempt(self.harness, context, claim))
        return self.started[-1]


@pytest.fixture
def start_attempt(harness: WorkerHarness) -> Iterator[AttemptStarter]:
    starter = AttemptStarter(harness)
    yield starter
    for attempt in starter.started:
        attempt.close()


def list_checkpoints(harness: WorkerHarness) -> dict[str, bytes]:
    names = [
        item["path"]
        for batch in obstore.list(harness.store._store, "checkpoints")
        for item in batch
    ]
    return {
        name.rpartition("/")[2]: bytes(obstore.get(harness.store._store, name).bytes())
        for name in names
    }


def test_a_trainers_events_become_progress_events_metrics_and_files(
    start_attempt: AttemptStarter,
) -> None:
    attempt = start_attempt("""
emit("phase", phase="training")
emit("notice", message="Two images are gray.")
step(4)
emit("metrics", epoch=1, step=4, values={"train/loss": 0.25})
export(b"weights")
finish(parameters=5)
""")
    result = attempt.result()
    assert (result.kind, result.report["parameters"]) == ("finished", 5)
    assert [file.name for file in result.files] == ["student.safetensors"]
    assert attempt.events("phase") == [{"phase": "training"}]
    assert attempt.events("notice") == [{"message": "Two images are gray.", "level": "info"}]
    (file,) = attempt.events("file")
    assert (file["name"], file["top1"]) == ("student.safetensors", 0.9)
    assert "path" not in file
    progress = attempt.harness.get_job(attempt.claim.job_id).progress
    assert (progress["phase"], progress["step"], progress["steps"]) == ("training", 4, 10)
    with attempt.harness.database.read() as session:
        assert [
            (row.name, row.value) for row in queries.list_metrics(session, attempt.claim.job_id)
        ] == [("train/loss", 0.25)]


def test_exporting_is_a_status_that_follows_the_progress(
    start_attempt: AttemptStarter,
) -> None:
    attempt = start_attempt(
        'emit("phase", phase="training")\nstep(10)\n'
        'emit("phase", phase="exporting")\nwait_for_stop()'
    )
    job_id = attempt.claim.job_id
    wait_until(lambda: attempt.harness.get_job(job_id).status == "exporting")
    assert attempt.harness.get_job(job_id).progress["phase"] == "exporting"


def test_steps_of_a_baseline_are_counted_from_the_beginning(
    start_attempt: AttemptStarter,
) -> None:
    attempt = start_attempt(
        'emit("phase", phase="training")\nstep(10)\nemit("phase", phase="baseline")\nfinish()'
    )
    assert attempt.result().kind == "finished"
    progress = attempt.harness.get_job(attempt.claim.job_id).progress
    assert (progress["phase"], progress["step"], progress["steps"]) == ("baseline", 0, 10)


def test_a_failure_has_the_trainers_error_and_log(start_attempt: AttemptStarter) -> None:
    result = start_attempt(
        'sys.stderr.write("".join(f"{number}\\n" for number in range(10_000)))\n'
        'fail("training_diverged")'
    ).result()
    assert (result.kind, result.error["code"], result.error["retryable"]) == (
        "failed",
        "training_diverged",
        False,
    )
    assert result.log == [str(number) for number in range(9_900, 10_000)]


def test_a_killed_trainer_is_reported_with_its_signal_and_log(
    start_attempt: AttemptStarter,
) -> None:
    result = start_attempt(
        'step(1)\nprint("segment 7", file=sys.stderr, flush=True)\n'
        "os.kill(os.getpid(), signal.SIGKILL)"
    ).result()
    assert (result.kind, result.error["code"], result.log) == (
        "failed",
        "trainer_died",
        ["segment 7"],
    )
    assert "SIGKILL" in result.error["message"]


def test_a_trainer_that_exits_without_a_result_has_failed(start_attempt: AttemptStarter) -> None:
    result = start_attempt("step(1)").result()
    assert (result.kind, result.error["code"]) == ("failed", "trainer_died")
    assert "status 0" in result.error["message"]


@pytest.mark.parametrize(
    "line", ["Segmentation fault", '{"type": "salary"}', '{"type": "step"}', "[1]"]
)
def test_a_line_that_is_not_an_event_fails_the_attempt(
    start_attempt: AttemptStarter, line: str
) -> None:
    result = start_attempt(f"print({line!r}, flush=True)\nwait_for_stop()").result()
    assert (result.kind, result.error["code"], result.error["retryable"]) == (
        "failed",
        "trainer_garbled",
        True,
    )
    assert line in result.error["message"]


def test_a_trainer_that_sends_no_event_for_too_long_has_failed(
    start_attempt: AttemptStarter,
) -> None:
    result = start_attempt("step(1)\nwait_for_stop()", hang_seconds=0.1).result()
    assert (result.kind, result.error["code"], result.error["retryable"]) == (
        "failed",
        "trainer_hung",
        True,
    )


def test_a_check_that_takes_too_long_fails_for_good_despite_its_events(
    start_attempt: AttemptStarter,
) -> None:
    result = start_attempt(
        'while True: emit("notice", message="still here")', check=True, check_seconds=0.1
    ).result()
    assert (result.kind, result.error["code"], result.error["retryable"]) == (
        "failed",
        "check_too_long",
        False,
    )


def test_training_may_take_longer_than_a_check(start_attempt: AttemptStarter) -> None:
    body = (
        "step(1)\nstarted = time.monotonic()\n"
        "while time.monotonic() < started + 0.3: step(2)\nfinish()"
    )
    assert start_attempt(body, check_seconds=0.1).result().kind == "finished"


def test_a_canceled_trainer_is_asked_to_stop_and_its_last_events_are_recorded(
    start_attempt: AttemptStarter,
) -> None:
    attempt = start_attempt("step(1)\nwait_for_stop()\nsave(1)")
    attempt.harness.run(controls.cancel, attempt.claim.job_id, actor="key_test")
    assert attempt.result().kind == "cancelled"
    assert attempt.events("checkpoint") == [{"step": 1}]


def test_a_canceled_trainer_that_does_not_stop_is_ended(start_attempt: AttemptStarter) -> None:
    attempt = start_attempt("while True: read_message()", stop_seconds=0.1)
    attempt.harness.run(controls.cancel, attempt.claim.job_id, actor="key_test")
    assert attempt.result().kind == "cancelled"
    assert not attempt.trainer.is_alive()


def test_a_trainer_that_is_canceled_by_force_is_killed_at_once(
    start_attempt: AttemptStarter,
) -> None:
    attempt = start_attempt(f"{IGNORE_TERM}\nwhile True: read_message()", stop_seconds=3600)
    attempt.harness.run(controls.cancel, attempt.claim.job_id, actor="key_test")
    wait_until(lambda: attempt.heartbeat.stop_order == "cancel")
    attempt.harness.run(controls.cancel, attempt.claim.job_id, actor="key_test", force=True)
    assert attempt.result().kind == "cancelled"
    wait_until(lambda: not attempt.trainer.is_alive())


def test_a_pause_uploads_the_last_checkpoint_and_returns_the_job(
    start_attempt: AttemptStarter, harness: WorkerHarness
) -> None:
    attempt = start_attempt(
        "step(1)\nsave(1)\nstep(7)\nwait_for_stop()\nsave(7)", checkpoint_seconds=3600
    )
    wait_until(lambda: harness.get_job(attempt.claim.job_id).checkpoint_step == 1)
    harness.run(controls.pause, attempt.claim.job_id, actor="key_test")
    assert attempt.result().kind == "returned"
    assert (
        harness.get_job(attempt.claim.job_id).checkpoint_step,
        list_checkpoints(harness),
    ) == (7, {"1-7": b"step 7"})


def test_a_job_past_its_deadline_is_stopped_with_a_checkpoint(
    start_attempt: AttemptStarter, harness: WorkerHarness
) -> None:
    attempt = start_attempt("step(3)\nwait_for_stop()\nsave(3)")
    harness.run(
        lambda session: setattr(
            session.get_one(Job, attempt.claim.job_id), "expires_at", now(session)
        )
    )
    assert attempt.result().kind == "expired"
    assert harness.get_job(attempt.claim.job_id).checkpoint_step == 3


def test_a_trainers_standard_error_is_recorded_as_its_log(
    start_attempt: AttemptStarter, harness: WorkerHarness
) -> None:
    attempt = start_attempt("print('first', file=sys.stderr, flush=True)\nwait_for_stop()")
    wait_until(lambda: read_log(harness, attempt) == ["first"])


def test_throughput_is_computed_from_the_steps(
    start_attempt: AttemptStarter, harness: WorkerHarness
) -> None:
    attempt = start_attempt(
        "for number in range(1, 400): step(number, 1000); time.sleep(0.01)\nwait_for_stop()"
    )
    wait_until(
        lambda: (harness.get_job(attempt.claim.job_id).progress.get("images_per_second") or 0) > 64
    )


def read_log(harness: WorkerHarness, attempt: MonitoredAttempt) -> list[str]:
    with harness.database.read() as session:
        return [row.line for row in trainer_logs.list_lines(session, attempt.claim.job_id)]


def test_a_draining_worker_uploads_the_last_checkpoint_and_returns_the_job(
    start_attempt: AttemptStarter, harness: WorkerHarness
) -> None:
    attempt = start_attempt(
        "step(1)\nsave(1)\nstep(7)\nwait_for_stop()\nsave(7)", checkpoint_seconds=3600
    )
    wait_until(lambda: harness.get_job(attempt.claim.job_id).checkpoint_step == 1)
    attempt.drain_event.set()
    assert attempt.result().kind == "returned"
    assert harness.get_job(attempt.claim.job_id).checkpoint_step == 7
    assert list_checkpoints(harness) == {"1-7": b"step 7"}


def test_a_draining_worker_does_not_wait_for_a_trainer_that_saves_nothing(
    start_attempt: AttemptStarter,
) -> None:
    attempt = start_attempt("while True: read_message()", stop_seconds=0.1)
    attempt.drain_event.set()
    assert attempt.result().kind == "returned"


def test_a_draining_worker_does_not_wait_for_a_check(start_attempt: AttemptStarter) -> None:
    attempt = start_attempt("while True: read_message()", check=True, stop_seconds=3600)
    attempt.drain_event.set()
    assert attempt.result().kind == "returned"


def test_a_trainer_that_finishes_while_it_is_asked_to_stop_has_finished(
    start_attempt: AttemptStarter,
) -> None:
    attempt = start_attempt("wait_for_stop()\nfinish()")
    attempt.drain_event.set()
    assert attempt.result().kind == "finished"


def test_a_failure_while_stopping_is_ignored(start_attempt: AttemptStarter) -> None:
    attempt = start_attempt("wait_for_stop()\nfail()")
    attempt.drain_event.set()
    assert attempt.result().kind == "returned"


def test_a_cancel_order_during_a_drain_takes_precedence(start_attempt: AttemptStarter) -> None:
    attempt = start_attempt("wait_for_stop()\nsave(1)\nwait_for_stop()", stop_seconds=3600)
    attempt.drain_event.set()
    wait_until(lambda: attempt.events("checkpoint"))
    attempt.harness.run(controls.cancel, attempt.claim.job_id, actor="key_test")
    assert attempt.result().kind == "cancelled"


def test_a_trainer_whose_job_was_lost_is_killed_at_once(
    start_attempt: AttemptStarter, harness: WorkerHarness
) -> None:
    attempt = start_attempt(f"{IGNORE_TERM}\nwhile True: read_message()")
    harness.expire_lease(attempt.claim)
    harness.run(expire_leases)
    assert attempt.result().kind == "lost"
    wait_until(lambda: not attempt.trainer.is_alive())


def test_checkpoints_that_follow_too_soon_are_not_uploaded(
    start_attempt: AttemptStarter, harness: WorkerHarness
) -> None:
    attempt = start_attempt(
        "for number in range(1, 9): save(number)\nfinish()", checkpoint_seconds=3600
    )
    assert attempt.result().kind == "finished"
    assert attempt.events("checkpoint") == [{"step": 1}]
    assert set(list_checkpoints(harness)) == {"1-1"}
