"""The real trainer process, on small images."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dlkd_core.events import CheckpointSaved, Event, Failed, PhaseStarted, StepDone, event_adapter
from dlkd_core.spec import DistillationSpec
from registry import models
from registry.keys import Principal
from registry.uploads import CHECKS
from tests.dlkd_core.hubs import TIMM, TORCHVISION, cut_off, fill_hub, train
from tests.worker.conftest import Workshop
from worker.main import TRAINER
from worker.process import Trainer
from worker.wire import Check, Distill

Start = Callable[[tuple[str, ...]], Trainer]


def endless(stripes: Path, directory: Path, *, silence_seconds: float = 600) -> Distill:
    """A job that would train for hours."""
    spec = {
        "student": {"architecture": "resnet8"},
        "dataset": {"path": stripes},
        "training": {"epochs": 100_000, "batch_size": 16},
        "export": ["safetensors"],
    }
    return Distill(directory=directory, silence_seconds=silence_seconds, spec=DistillationSpec.model_validate(spec))


def said_by(trainer: Trainer) -> Iterator[Event]:
    while (line := trainer.next_line(120)) is not None:
        yield event_adapter.validate_json(line)


def training(trainer: Trainer) -> Iterator[Event]:
    """What it goes on to say after its first step."""
    said = said_by(trainer)
    assert any(isinstance(event, StepDone) for event in said)
    return said


def test_a_trainer_that_is_never_asked_ends_in_peace(start: Start) -> None:
    trainer = start(TRAINER)
    trainer._stdin.close()
    assert trainer.next_line(120) is None
    assert trainer._process.wait() == 0


def test_a_trainer_without_a_supervisor_ends_itself(start: Start, stripes: Path, tmp_path: Path) -> None:
    trainer = start(TRAINER)
    trainer.ask(endless(stripes, tmp_path))
    said = training(trainer)
    trainer._stdin.close()
    assert all(event.type != "failed" for event in said)
    assert trainer._process.wait() == -signal.SIGKILL


def test_a_trainer_whose_supervisor_is_silent_ends_itself(start: Start, stripes: Path, tmp_path: Path) -> None:
    trainer = start(TRAINER)
    trainer.ask(endless(stripes, tmp_path, silence_seconds=0.5))
    assert all(event.type != "failed" for event in said_by(trainer))
    assert trainer._process.wait() == -signal.SIGKILL


def test_a_trainer_that_is_stopped_saves_where_it_stood_and_tells_it_last(start: Start, stripes: Path, tmp_path: Path) -> None:
    trainer = start(TRAINER)
    trainer.ask(endless(stripes, tmp_path))
    said = training(trainer)
    trainer.stop()
    *before, last = said
    assert isinstance(last, CheckpointSaved)
    assert last.step == max([1, *(event.step for event in before if isinstance(event, StepDone))])
    assert (Path(last.path).parent, Path(last.path).exists()) == (tmp_path, True)
    assert trainer._process.wait() == 0


def test_a_users_mistake_is_told_with_its_code_and_the_log_has_the_trace(start: Start, tmp_path: Path) -> None:
    (tmp_path / "0.pt").write_bytes(b"no checkpoint")
    trainer = start(TRAINER)
    trainer.ask(Check(kind="check_teacher", path=tmp_path / "0.pt", directory=tmp_path, silence_seconds=60))
    first, last = said_by(trainer)
    assert first == PhaseStarted(phase="reading")
    assert isinstance(last, Failed)
    assert (last.error["code"], last.error["retryable"]) == ("checkpoint_unreadable", False)
    assert trainer._process.wait() == 0
    trainer.end()
    assert "Traceback (most recent call last):" in trainer.log_tail()


def test_a_job_that_raises_tells_it_and_may_be_tried_again(start: Start, stripes: Path, tmp_path: Path) -> None:
    trainer = start(TRAINER)
    trainer.ask(endless(stripes, tmp_path / "nowhere"))
    (only,) = said_by(trainer)
    assert isinstance(only, Failed)
    assert (only.error["code"], only.error["retryable"]) == ("internal_error", True)
    assert "FileNotFoundError" in only.error["message"]


def test_a_job_without_enough_memory_says_so(start: Start, stripes: Path, tmp_path: Path) -> None:
    trainer = start(TRAINER)
    trainer.ask(endless(stripes, tmp_path).model_copy(update={"memory_bytes": 1}))
    *_, last = said_by(trainer)
    assert isinstance(last, Failed)
    assert (last.error["code"], last.error["retryable"]) == ("out_of_memory", False)


@pytest.fixture
def striped(workshop: Workshop, stripes: Path) -> Workshop:
    """A workshop whose uploads are the stripes."""
    workshop.put = lambda content=None: workshop.store.put([content or stripes.read_bytes()])  # type: ignore[method-assign]
    return workshop


def test_a_data_set_is_checked_and_a_student_of_it_trained_and_published(striped: Workshop) -> None:
    assert striped.principal == Principal("key_test", "test")
    kit = striped.kit(TRAINER, progress_seconds=0.2)
    dataset_id = striped.dataset()
    job_id = striped.submit(dataset={"id": dataset_id}, training={"epochs": 2, "batch_size": 16}, export=["safetensors"])
    assert striped.run(kit, CHECKS).status == "succeeded"
    job = striped.run(kit)
    assert (job.id, job.status, job.progress["step"], job.progress["fraction"]) == (job_id, "succeeded", 16, 1.0)
    with striped.database.read() as session:
        model = models.get(session, job.model_id or "")
        (file,) = models.files(session, model.id)
    assert model.classes == ["diagonal", "horizontal", "vertical"]
    assert (file.name, file.top1) == ("student.safetensors", model.metrics["student"]["top1"])
    assert striped.store.exists(file.sha256)


def test_published_weights_teach_from_the_workers_cache(
    striped: Workshop, stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hub").mkdir()
    cut_off(tmp_path / "hub", monkeypatch)
    fill_hub(tmp_path / "hub", train(stripes, tmp_path / "weights"))
    kit, dataset_id = striped.kit(TRAINER, progress_seconds=0.2), striped.dataset()
    asked = {"dataset": {"id": dataset_id}, "training": {"epochs": 1, "batch_size": 16}, "export": ["safetensors"]}
    striped.submit(**asked, teacher={"pretrained": TIMM})
    striped.submit(**asked, teacher={"pretrained": TORCHVISION})
    assert striped.run(kit, CHECKS).status == "succeeded"
    taught, failed = striped.run(kit), striped.run(kit)
    assert (taught.status, taught.error) == ("succeeded", None)
    proofs = [data for kind, data in striped.events(taught.id) if kind == "teacher"]
    assert [(proof["architecture"], proof["top1"], proof["knn_top1"] > 0.8) for proof in proofs] == [(TIMM, None, True)]
    assert failed.status == "failed"
    assert failed.error is not None
    assert (failed.error["code"], failed.error["retryable"]) == ("weights_unavailable", False)
    assert "TORCH_HOME" in failed.error["hint"]
