"""One attempt from its claim to its end, as the rows and the store show it."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event as Flag
from threading import Thread

import pytest

from registry import datasets, jobs, models, teachers
from registry.claims import Claim
from registry.store import Store
from registry.sweeps import expire
from registry.tables import Attempt, Model
from registry.uploads import CHECKS, PACKED_FILE
from tests.worker.conftest import Workshop, soon
from worker.kit import Kit
from worker.supervisor import supervise

CHECKED = 'here("packed.safetensors").write_bytes(b"packed images")\nhere("samples.webp").write_bytes(b"a picture")\n'
SET_REPORT = (
    "tell('finished', report={'classes': ['a', 'b'], 'splits': {'train': 8, 'val': 4}, 'image': {'height': 8, 'width': 8}})"
)
NETWORK_REPORT = (
    "tell('finished', report={'format': 'torch', 'architecture': 'resnet20', 'options': {}, 'num_classes': 2, 'parameters': 9})"
)


class Supervised:
    """An attempt that is supervised in a thread."""

    def __init__(self, kit: Kit, claim: Claim) -> None:
        self.claim, self.draining = claim, Flag()
        self._thread = Thread(target=supervise, args=(kit, claim, 0, self.draining))
        self._thread.start()

    def end(self) -> None:
        self._thread.join()


@pytest.fixture
def begun() -> Iterator[list[Supervised]]:
    begun: list[Supervised] = []
    yield begun
    for one in begun:
        one.draining.set()
        one.end()


def begin(workshop: Workshop, kit: Kit, begun: list[Supervised]) -> Supervised:
    """A new job that runs by now."""
    workshop.submit()
    begun.append(Supervised(kit, workshop.take(kit)))
    soon(lambda: workshop.job(begun[-1].claim.job_id).status == "running")
    return begun[-1]


def attempt(workshop: Workshop, job_id: str) -> Attempt:
    with workshop.database.read() as session:
        return jobs.attempts(session, job_id)[-1]


def left_in(kit: Kit) -> list[Path]:
    return [path for path in kit.scratch.iterdir() if path.name != "cache"]


def statuses(workshop: Workshop, job_id: str) -> list[str]:
    return [data["to"] for kind, data in workshop.events(job_id) if kind == "status"]


def test_a_job_that_succeeds_publishes_its_model_with_its_files(workshop: Workshop) -> None:
    job_id = workshop.submit(name="pets")
    kit = workshop.kit(
        'tell("phase", phase="training")\nstep(10)\ntell("phase", phase="exporting")\nexport(b"weights")\nfinish()'
    )
    job = workshop.run(kit)
    assert statuses(workshop, job_id) == ["queued", "starting", "running", "exporting", "succeeded"]
    assert (job.progress["fraction"], job.worker_id) == (1.0, None)
    with workshop.database.read() as session:
        assert models.get(session, job.model_id or "").name == "pets"
        (file,) = models.files(session, job.model_id or "")
    assert b"".join(workshop.store.read(file.sha256)) == b"weights"
    assert attempt(workshop, job_id).status == "succeeded"
    assert left_in(kit) == []


def test_the_last_words_of_a_trainer_come_before_the_end_of_its_job(workshop: Workshop) -> None:
    job_id = workshop.submit()
    workshop.run(workshop.kit('tell("notice", message="last")\nexport()\nfinish()', progress_seconds=3600))
    assert [kind for kind, _ in workshop.events(job_id)][-3:] == ["notice", "file", "status"]


def test_a_users_mistake_ends_the_job_with_its_reason_and_log(workshop: Workshop) -> None:
    workshop.submit()
    kit = workshop.kit('print("nan", file=sys.stderr, flush=True)\nfail("training_diverged")')
    job = workshop.run(kit)
    assert (job.status, job.model_id) == ("failed", None)
    assert job.error is not None
    assert (job.error["code"], job.error["attempt"], job.error["log"]) == ("training_diverged", 1, ["nan"])
    assert left_in(kit) == []


def test_a_mishap_is_tried_again_from_the_checkpoint_and_then_succeeds(workshop: Workshop) -> None:
    job_id = workshop.submit()
    first = "if not request['resume_from']: save(5); os.kill(os.getpid(), signal.SIGKILL)\n"
    kit = workshop.kit(first + "tell('notice', message=Path(request['resume_from']).read_text())\nexport()\nfinish()")
    assert workshop.run(kit).status == "queued"
    assert attempt(workshop, job_id).status == "failed"
    assert workshop.run(kit).status == "succeeded"
    assert {"message": "step 5"} in [data for kind, data in workshop.events(job_id) if kind == "notice"]


def test_a_trainer_that_always_dies_spends_all_attempts(workshop: Workshop) -> None:
    workshop.submit(max_attempts=2)
    kit = workshop.kit("os.kill(os.getpid(), signal.SIGKILL)")
    assert workshop.run(kit).status == "queued"
    job = workshop.run(kit)
    assert job.status == "failed"
    assert job.error is not None
    assert (job.error["code"], job.error["cause"]) == ("attempts_spent", "trainer_died")


def test_what_goes_wrong_before_the_trainer_is_told_in_the_job(workshop: Workshop) -> None:
    job_id = workshop.submit(max_attempts=1)
    claim = workshop.claim(worker_id="worker_0")
    assert claim is not None
    workshop.store.delete(claim.inputs["dataset"]["digest"])
    kit = workshop.kit("finish()")
    supervise(kit, claim, (0,), Flag())
    error = workshop.job(job_id).error
    assert error is not None
    assert (error["code"], error["cause"]) == ("attempts_spent", "worker_error")
    assert claim.inputs["dataset"]["digest"] in error["message"]
    assert left_in(kit) == []


@pytest.mark.parametrize("then", ["here('student.safetensors').write_bytes(b'other')", "here('student.safetensors').unlink()"])
def test_a_file_that_changed_after_it_was_measured_is_not_published(workshop: Workshop, then: str) -> None:
    workshop.submit(max_attempts=1)
    job = workshop.run(workshop.kit(f"export()\n{then}\nfinish()"))
    assert (job.status, job.model_id) == ("failed", None)
    assert job.error is not None
    assert job.error["cause"] == "worker_error"


def test_a_report_that_does_not_fit_fails_the_job_and_publishes_nothing(workshop: Workshop) -> None:
    workshop.submit(max_attempts=1)
    job = workshop.run(workshop.kit("export()\ntell('finished', report={})"))
    assert job.status == "failed"
    with workshop.database.read() as session:
        assert session.query(Model).count() == 0


def test_a_job_that_is_cancelled_while_it_runs_ends_cancelled(workshop: Workshop, begun: list[Supervised]) -> None:
    kit = workshop.kit("step(1)\nuntil_stopped()\nsave(1)")
    supervised = begin(workshop, kit, begun)
    workshop.do(jobs.cancel, supervised.claim.job_id, actor="key_test")
    supervised.end()
    job = workshop.job(supervised.claim.job_id)
    assert (job.status, job.error, attempt(workshop, job.id).status) == ("cancelled", None, "cancelled")
    assert left_in(kit) == []


def test_a_job_that_is_returned_is_queued_from_its_checkpoint_and_spends_no_attempt(
    workshop: Workshop, begun: list[Supervised]
) -> None:
    supervised = begin(workshop, workshop.kit("step(3)\nuntil_stopped()\nsave(3)"), begun)
    supervised.draining.set()
    supervised.end()
    job = workshop.job(supervised.claim.job_id)
    assert (job.status, job.spent, job.checkpoint_step, job.worker_id) == ("queued", 0, 3, None)
    assert attempt(workshop, job.id).status == "returned"


def test_a_worker_that_lost_its_lease_writes_nothing(workshop: Workshop, begun: list[Supervised]) -> None:
    kit = workshop.kit("hear()\nexport()\nfinish()\nuntil_stopped()", progress_seconds=3600)  # no beat in between
    supervised = begin(workshop, kit, begun)
    workshop.lose_lease(supervised.claim)
    workshop.do(expire)
    successor = workshop.claim(worker_id="worker_other")
    assert successor is not None
    assert successor.attempt == 2
    before = workshop.events(successor.job_id)
    supervised.draining.set()  # the trainer hears of it, and finishes instead of stopping
    supervised.end()
    job = workshop.job(successor.job_id)
    assert (job.status, job.worker_id, job.model_id) == ("starting", "worker_other", None)
    assert workshop.events(successor.job_id) == before
    assert left_in(kit) == []


def test_the_end_of_a_job_waits_for_a_database_that_is_away(
    workshop: Workshop, begun: list[Supervised], caplog: pytest.LogCaptureFixture
) -> None:
    supervised = begin(workshop, workshop.kit("hear()\nexport()\nfinish()", progress_seconds=3600), begun)
    with workshop.away():
        supervised.draining.set()
        soon(lambda: "the database does not answer" in caplog.text)
    supervised.end()
    assert workshop.job(supervised.claim.job_id).status == "succeeded"


def test_a_keep_alive_reaches_the_trainer_while_it_works(workshop: Workshop) -> None:
    workshop.submit()
    assert workshop.run(workshop.kit("assert hear() == {}\nassert hear() == {}\nexport()\nfinish()")).status == "succeeded"


def test_the_next_trainer_loads_while_this_one_works(workshop: Workshop, begun: list[Supervised]) -> None:
    kit = workshop.kit("until_stopped()")
    begin(workshop, kit, begun)
    assert kit.trainers._waiting is not None
    assert kit.trainers._waiting.alive()


def test_a_checked_data_set_is_packed_and_wakes_the_jobs_that_waited(workshop: Workshop) -> None:
    dataset_id = workshop.dataset()
    job_id = workshop.submit(dataset={"id": dataset_id})
    assert workshop.job(job_id).status == "validating"
    assert workshop.run(workshop.kit(CHECKED + SET_REPORT), CHECKS).status == "succeeded"
    with workshop.database.read() as session:
        dataset = datasets.get(session, dataset_id)
    assert (dataset.status, dataset.classes, dataset.splits) == ("ready", ["a", "b"], {"train": 8, "val": 4})
    assert b"".join(workshop.store.read(dataset.packed_sha256 or "")) == b"packed images"
    assert b"".join(workshop.store.read(dataset.samples_sha256 or "")) == b"a picture"
    job = workshop.job(job_id)
    images = {"digest": dataset.packed_sha256, "filename": PACKED_FILE, "name": dataset.name, "sha256": dataset.sha256}
    assert (job.status, job.inputs) == ("queued", {"teacher": None, "dataset": images})
    assert workshop.queue.sent == [("train", job_id)]


def test_a_checked_teacher_is_what_was_found(workshop: Workshop) -> None:
    teacher_id = workshop.teacher()
    workshop.run(workshop.kit(NETWORK_REPORT), CHECKS)
    with workshop.database.read() as session:
        teacher = teachers.get(session, teacher_id)
    assert (teacher.status, teacher.architecture, teacher.num_classes) == ("ready", "resnet20", 2)


def test_an_upload_that_is_refused_says_why_and_leaves_no_file(workshop: Workshop) -> None:
    dataset_id = workshop.dataset()
    workshop.run(workshop.kit("fail('archive_refused')"), CHECKS)
    with workshop.database.read() as session:
        dataset = datasets.get(session, dataset_id)
    assert dataset.status == "invalid"
    assert (dataset.error or {})["code"] == "archive_refused"
    assert not workshop.store.exists(dataset.sha256)


def test_files_come_from_a_store_far_away_and_go_there(workshop: Workshop, tmp_path: Path) -> None:
    remote = Store("memory:///", scratch=tmp_path / "incoming")
    workshop.store = remote
    workshop.submit()
    body = "export(Path(request['spec']['dataset']['path']).read_bytes())\nfinish()"
    job = workshop.run(workshop.kit(body, store=remote))
    with workshop.database.read() as session:
        (file,) = models.files(session, job.model_id or "")
    assert b"".join(remote.read(file.sha256)).startswith(b"content ")


def test_a_job_that_is_cancelled_as_it_finishes_leaves_no_model(workshop: Workshop, begun: list[Supervised]) -> None:
    kit = workshop.kit("hear()\nexport()\nfinish()\nuntil_stopped()", progress_seconds=3600)
    supervised = begin(workshop, kit, begun)
    workshop.do(jobs.cancel, supervised.claim.job_id, actor="key_test")
    supervised.draining.set()
    supervised.end()
    job = workshop.job(supervised.claim.job_id)
    assert (job.status, job.model_id) == ("cancelled", None)
