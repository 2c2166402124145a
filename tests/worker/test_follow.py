"""From a trainer's first event to how it ended."""

from collections.abc import Iterator
from threading import Event as Flag
from threading import Thread
from typing import Any

import obstore
import pytest

from registry import claims, controls, jobs, logs, offers
from registry.claims import Claim
from registry.db import now
from registry.lifecycle import JobStatus
from registry.sweeps import expire
from registry.tables import Job
from registry.uploads import CHECKS
from tests.worker.conftest import Workshop, soon
from worker.ending import Ending
from worker.follow import Follower
from worker.inputs import prepare
from worker.kit import Kit
from worker.process import Trainer
from worker.pulse import Pulse

DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


class Followed:
    """One attempt whose trainer does what the body says, followed in a thread."""

    def __init__(self, workshop: Workshop, kit: Kit, claim: Claim) -> None:
        self.workshop, self.claim = workshop, claim
        directory = kit.scratch / "attempt"
        request = prepare(kit, claim, directory, (0,))
        workshop.do(claims.enter, claim, JobStatus.RUNNING)
        self.draining = Flag()
        self.pulse = Pulse(kit, claim)
        self.pulse.start()
        self.trainer: Trainer = kit.trainers.take()
        self.trainer.ask(request)
        self._endings: list[Ending] = []
        follower = Follower(kit, claim, self.pulse, self.trainer)
        self._thread = Thread(target=lambda: self._endings.append(follower.follow(self.draining)))
        self._thread.start()

    def ending(self) -> Ending:
        self._thread.join()
        self.pulse.beat()
        (ending,) = self._endings
        return ending

    def close(self) -> None:
        self.trainer.kill()
        self.pulse.stop()
        self.trainer.end()
        self._thread.join()

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [data for found, data in self.workshop.events(self.claim.job_id) if found == kind]


class Follow:
    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self.started: list[Followed] = []

    def __call__(self, body: str, *, check: bool = False, **settings: Any) -> Followed:
        if check:
            self.workshop.dataset()
        else:
            self.workshop.submit()
        kit = self.workshop.kit(body, **settings)
        self.started.append(Followed(self.workshop, kit, self.workshop.take(kit, CHECKS if check else offers.TRAIN)))
        return self.started[-1]


@pytest.fixture
def follow(workshop: Workshop) -> Iterator[Follow]:
    follow = Follow(workshop)
    yield follow
    for one in follow.started:
        one.close()


def checkpoints(workshop: Workshop) -> dict[str, bytes]:
    names = [item["path"] for batch in obstore.list(workshop.store._store, "checkpoints") for item in batch]
    return {name.rpartition("/")[2]: bytes(obstore.get(workshop.store._store, name).bytes()) for name in names}


def test_what_a_trainer_says_becomes_progress_events_metrics_and_files(follow: Follow) -> None:
    followed = follow("""
tell("phase", phase="training")
tell("notice", message="Two images are grey.")
step(4)
tell("metrics", epoch=1, step=4, values={"train/loss": 0.25})
export(b"weights")
finish(parameters=5)
""")
    ending = followed.ending()
    assert (ending.kind, ending.report["parameters"]) == ("finished", 5)
    assert [file.name for file in ending.files] == ["student.safetensors"]
    assert followed.told("phase") == [{"phase": "training"}]
    assert followed.told("notice") == [{"message": "Two images are grey."}]
    (file,) = followed.told("file")
    assert (file["name"], file["top1"]) == ("student.safetensors", 0.9)
    assert "path" not in file
    progress = followed.workshop.job(followed.claim.job_id).progress
    assert (progress["phase"], progress["step"], progress["steps"]) == ("training", 4, 10)
    with followed.workshop.database.read() as session:
        assert [(row.name, row.value) for row in jobs.metrics(session, followed.claim.job_id)] == [("train/loss", 0.25)]


def test_exporting_is_a_state_of_the_job_and_never_ahead_of_its_progress(follow: Follow) -> None:
    followed = follow('tell("phase", phase="training")\nstep(10)\ntell("phase", phase="exporting")\nuntil_stopped()')
    job_id = followed.claim.job_id
    soon(lambda: followed.workshop.job(job_id).status == "exporting")
    assert followed.workshop.job(job_id).progress["phase"] == "exporting"


def test_a_failure_is_told_in_the_trainers_words_with_its_log(follow: Follow) -> None:
    ending = follow('sys.stderr.write("".join(f"{number}\\n" for number in range(10_000)))\nfail("training_diverged")').ending()
    assert (ending.kind, ending.error["code"], ending.error["retryable"]) == ("failed", "training_diverged", False)
    assert ending.log == [str(number) for number in range(9_900, 10_000)]


def test_a_trainer_that_dies_is_told_by_its_death_and_its_log(follow: Follow) -> None:
    ending = follow('step(1)\nprint("segment 7", file=sys.stderr, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)').ending()
    assert (ending.kind, ending.error["code"], ending.log) == ("failed", "trainer_died", ["segment 7"])
    assert "SIGKILL" in ending.error["message"]


def test_a_trainer_that_ends_without_a_result_has_failed(follow: Follow) -> None:
    ending = follow("step(1)").ending()
    assert (ending.kind, ending.error["code"]) == ("failed", "trainer_died")
    assert "status 0" in ending.error["message"]


@pytest.mark.parametrize("line", ["Segmentation fault", '{"type": "salary"}', '{"type": "step"}', "[1]"])
def test_what_is_no_event_ends_the_attempt(follow: Follow, line: str) -> None:
    ending = follow(f"print({line!r}, flush=True)\nuntil_stopped()").ending()
    assert (ending.kind, ending.error["code"], ending.error["retryable"]) == ("failed", "trainer_garbled", True)
    assert line in ending.error["message"]


def test_a_trainer_that_says_nothing_for_long_is_taken_for_dead(follow: Follow) -> None:
    ending = follow("step(1)\nuntil_stopped()", hang_seconds=0.1).ending()
    assert (ending.kind, ending.error["code"], ending.error["retryable"]) == ("failed", "trainer_hung", True)


def test_a_check_that_takes_too_long_fails_for_good_however_much_it_says(follow: Follow) -> None:
    ending = follow('while True: tell("notice", message="still here")', check=True, check_seconds=0.1).ending()
    assert (ending.kind, ending.error["code"], ending.error["retryable"]) == ("failed", "check_too_long", False)


def test_training_may_take_longer_than_a_check(follow: Follow) -> None:
    body = "step(1)\nbegan = time.monotonic()\nwhile time.monotonic() < began + 0.3: step(2)\nfinish()"
    assert follow(body, check_seconds=0.1).ending().kind == "finished"


def test_a_cancelled_job_is_asked_to_stop_and_its_last_events_are_kept(follow: Follow) -> None:
    followed = follow("step(1)\nuntil_stopped()\nsave(1)")
    followed.workshop.do(jobs.cancel, followed.claim.job_id, actor="key_test")
    assert followed.ending().kind == "cancelled"
    assert followed.told("checkpoint") == [{"step": 1}]


def test_a_cancelled_job_that_does_not_stop_is_ended(follow: Follow) -> None:
    followed = follow("while True: hear()", stop_seconds=0.1)
    followed.workshop.do(jobs.cancel, followed.claim.job_id, actor="key_test")
    assert followed.ending().kind == "cancelled"
    assert not followed.trainer.alive()


def test_a_job_that_is_cancelled_by_force_gets_no_time(follow: Follow) -> None:
    followed = follow(f"{DEAF}\nwhile True: hear()", stop_seconds=3600)
    followed.workshop.do(jobs.cancel, followed.claim.job_id, actor="key_test")
    soon(lambda: followed.pulse.order == "cancel")
    followed.workshop.do(jobs.cancel, followed.claim.job_id, actor="key_test", force=True)
    assert followed.ending().kind == "cancelled"
    soon(lambda: not followed.trainer.alive())


def test_a_pause_keeps_the_last_checkpoint_and_returns_the_job(follow: Follow, workshop: Workshop) -> None:
    followed = follow("step(1)\nsave(1)\nstep(7)\nuntil_stopped()\nsave(7)", checkpoint_seconds=3600)
    soon(lambda: workshop.job(followed.claim.job_id).checkpoint_step == 1)
    workshop.do(controls.pause, followed.claim.job_id, actor="key_test")
    assert followed.ending().kind == "returned"
    assert (workshop.job(followed.claim.job_id).checkpoint_step, checkpoints(workshop)) == (7, {"1-7": b"step 7"})


def test_a_job_whose_time_is_over_is_stopped_with_its_checkpoint(follow: Follow, workshop: Workshop) -> None:
    followed = follow("step(3)\nuntil_stopped()\nsave(3)")
    workshop.do(lambda session: setattr(session.get_one(Job, followed.claim.job_id), "expires_at", now(session)))
    assert followed.ending().kind == "expired"
    assert workshop.job(followed.claim.job_id).checkpoint_step == 3


def test_what_a_trainer_writes_is_kept_as_its_log(follow: Follow, workshop: Workshop) -> None:
    followed = follow("print('first', file=sys.stderr, flush=True)\nuntil_stopped()")
    soon(lambda: log_of(workshop, followed) == ["first"])


def test_steps_tell_the_throughput(follow: Follow, workshop: Workshop) -> None:
    followed = follow("for number in range(1, 400): step(number, 1000); time.sleep(0.01)\nuntil_stopped()")
    soon(lambda: (workshop.job(followed.claim.job_id).progress.get("images_per_second") or 0) > 64)


def log_of(workshop: Workshop, followed: Followed) -> list[str]:
    with workshop.database.read() as session:
        return [row.line for row in logs.page(session, followed.claim.job_id)]


def test_a_worker_that_drains_keeps_the_last_checkpoint_and_returns_the_job(follow: Follow, workshop: Workshop) -> None:
    followed = follow("step(1)\nsave(1)\nstep(7)\nuntil_stopped()\nsave(7)", checkpoint_seconds=3600)
    soon(lambda: workshop.job(followed.claim.job_id).checkpoint_step == 1)
    followed.draining.set()
    assert followed.ending().kind == "returned"
    assert workshop.job(followed.claim.job_id).checkpoint_step == 7
    assert checkpoints(workshop) == {"1-7": b"step 7"}


def test_a_draining_worker_does_not_wait_for_a_trainer_that_saves_nothing(follow: Follow) -> None:
    followed = follow("while True: hear()", stop_seconds=0.1)
    followed.draining.set()
    assert followed.ending().kind == "returned"


def test_a_draining_worker_waits_for_no_check(follow: Follow) -> None:
    followed = follow("while True: hear()", check=True, stop_seconds=3600)
    followed.draining.set()
    assert followed.ending().kind == "returned"


def test_a_trainer_that_finishes_while_it_is_asked_to_stop_has_finished(follow: Follow) -> None:
    followed = follow("until_stopped()\nfinish()")
    followed.draining.set()
    assert followed.ending().kind == "finished"


def test_a_failure_on_the_way_out_is_no_failure(follow: Follow) -> None:
    followed = follow("until_stopped()\nfail()")
    followed.draining.set()
    assert followed.ending().kind == "returned"


def test_a_cancel_that_comes_while_the_worker_drains_is_heeded(follow: Follow) -> None:
    followed = follow("until_stopped()\nsave(1)\nuntil_stopped()", stop_seconds=3600)
    followed.draining.set()
    soon(lambda: followed.told("checkpoint"))
    followed.workshop.do(jobs.cancel, followed.claim.job_id, actor="key_test")
    assert followed.ending().kind == "cancelled"


def test_a_trainer_whose_job_was_lost_is_killed_at_once(follow: Follow, workshop: Workshop) -> None:
    followed = follow(f"{DEAF}\nwhile True: hear()")
    workshop.lose_lease(followed.claim)
    workshop.do(expire)
    assert followed.ending().kind == "lost"
    soon(lambda: not followed.trainer.alive())


def test_checkpoints_reach_the_store_only_so_often(follow: Follow, workshop: Workshop) -> None:
    followed = follow("for number in range(1, 9): save(number)\nfinish()", checkpoint_seconds=3600)
    assert followed.ending().kind == "finished"
    assert followed.told("checkpoint") == [{"step": 1}]
    assert set(checkpoints(workshop)) == {"1-1"}
