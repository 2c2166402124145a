"""Tests for the real trainer process on small images."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlkd_core.events import (
    CheckpointSaved,
    Event,
    PhaseStarted,
    RunFailed,
    RunFinished,
    StepFinished,
    event_adapter,
)
from dlkd_core.spec import DistillationSpec
from registry.access.permissions import Principal
from registry.jobs.queue_names import QueueName
from registry.models import model_versions
from tests.dlkd_core.run_helpers import train_stripes_teacher
from tests.dlkd_core.teachers.transformers.network_folders import (
    CLASSES,
    build_network,
    save_files,
    write_zip,
)
from tests.dlkd_core.weight_caches import (
    TIMM,
    TORCHVISION,
    disable_network,
    fill_hf_cache,
    train_cached_model,
)
from tests.worker.conftest import StartTrainer, WorkerHarness
from worker.protocol import DistillRequest, UploadCheckRequest
from worker.trainer_process import TrainerProcess
from worker.worker_process import TRAINER_COMMAND


def endless_request(
    stripes: Path, directory: Path, *, silence_seconds: float = 600
) -> DistillRequest:
    """Return a request for a training run that would take hours."""
    spec = {
        "student": {"architecture": "resnet8"},
        "dataset": {"path": stripes},
        "training": {"epochs": 100_000, "batch_size": 16},
        "export": ["safetensors"],
    }
    return DistillRequest(
        directory=directory,
        silence_seconds=silence_seconds,
        spec=DistillationSpec.model_validate(spec),
    )


def read_events(trainer: TrainerProcess) -> Iterator[Event]:
    while (line := trainer.next_line(120)) is not None:
        yield event_adapter.validate_json(line)


def wait_for_first_step(trainer: TrainerProcess) -> Iterator[Event]:
    """Wait until the first step is finished and return an iterator over the later events."""
    events = read_events(trainer)
    assert any(isinstance(event, StepFinished) for event in events)
    return events


def test_a_trainer_that_gets_no_request_exits_cleanly(start_trainer: StartTrainer) -> None:
    trainer = start_trainer(TRAINER_COMMAND)
    trainer._stdin.close()
    assert trainer.next_line(120) is None
    assert trainer._process.wait() == 0


def test_a_trainer_imports_slow_libraries_only_where_they_are_needed() -> None:
    slow = ["scipy", "sympy", "timm", "torch._dynamo", "torchvision"]
    code = f"import sys, worker.trainer; print(sorted(set(sys.modules) & set({slow})))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert output.decode().strip() == "[]"


def test_a_trainer_kills_itself_when_its_input_ends(
    start_trainer: StartTrainer, stripes: Path, tmp_path: Path
) -> None:
    trainer = start_trainer(TRAINER_COMMAND)
    trainer.send_request(endless_request(stripes, tmp_path))
    events = wait_for_first_step(trainer)
    trainer._stdin.close()
    assert all(event.type != "failed" for event in events)
    assert trainer._process.wait() == -signal.SIGKILL


def test_a_trainer_kills_itself_when_keep_alives_stop(
    start_trainer: StartTrainer, stripes: Path, tmp_path: Path
) -> None:
    trainer = start_trainer(TRAINER_COMMAND)
    trainer.send_request(endless_request(stripes, tmp_path, silence_seconds=0.5))
    assert all(event.type != "failed" for event in read_events(trainer))
    assert trainer._process.wait() == -signal.SIGKILL


def test_a_stopped_trainer_saves_a_checkpoint_at_its_last_step(
    start_trainer: StartTrainer, stripes: Path, tmp_path: Path
) -> None:
    trainer = start_trainer(TRAINER_COMMAND)
    trainer.send_request(endless_request(stripes, tmp_path))
    events = wait_for_first_step(trainer)
    trainer.request_stop()
    *before, last = events
    assert isinstance(last, CheckpointSaved)
    steps = [event.step for event in before if isinstance(event, StepFinished)]
    assert last.step == max([1, *steps])
    assert (Path(last.path).parent, Path(last.path).exists()) == (tmp_path, True)
    assert trainer._process.wait() == 0


def test_a_trainer_stopped_in_the_baseline_reports_the_checkpoint_of_the_finished_student(
    start_trainer: StartTrainer, stripes: Path, tmp_path: Path
) -> None:
    teacher = train_stripes_teacher(stripes, tmp_path / "teacher", "resnet8")
    request = endless_request(stripes, tmp_path)
    spec = request.spec.model_dump(mode="json") | {
        "teacher": {"path": str(teacher)},
        "method": {"name": "kd"},
        "training": {"epochs": 3, "batch_size": 16},
        "baseline": True,
    }
    trainer = start_trainer(TRAINER_COMMAND)
    trainer.send_request(request.model_copy(update={"spec": DistillationSpec(**spec)}))
    events = read_events(trainer)
    assert any(event == PhaseStarted(phase="baseline") for event in events)
    trainer.request_stop()
    *_, last = events
    assert isinstance(last, CheckpointSaved)
    assert last.step == 24  # 3 epochs of 8 batches


def test_a_user_error_is_reported_with_its_code_and_a_traceback_in_the_log(
    start_trainer: StartTrainer, tmp_path: Path
) -> None:
    (tmp_path / "0.pt").write_bytes(b"not a checkpoint")
    trainer = start_trainer(TRAINER_COMMAND)
    trainer.send_request(
        UploadCheckRequest(
            kind="check_teacher", path=tmp_path / "0.pt", directory=tmp_path, silence_seconds=60
        )
    )
    first, last = read_events(trainer)
    assert first == PhaseStarted(phase="reading")
    assert isinstance(last, RunFailed)
    assert (last.error["code"], last.error["retryable"]) == ("checkpoint_unreadable", False)
    assert trainer._process.wait() == 0
    trainer.end()
    assert "Traceback (most recent call last):" in trainer.log_tail()


def test_the_folder_of_a_transformers_network_is_checked(
    start_trainer: StartTrainer, tmp_path: Path
) -> None:
    files = save_files(build_network("vit"), tmp_path / "network")
    # The service stores an upload under a name that does not tell what it is.
    path = write_zip(tmp_path / "0.pt", {f"vit/{name}": files[name] for name in files})
    trainer = start_trainer(TRAINER_COMMAND)
    trainer.send_request(
        UploadCheckRequest(kind="check_teacher", path=path, directory=tmp_path, silence_seconds=60)
    )
    _, last = read_events(trainer)
    assert isinstance(last, RunFinished)
    facts = {name: last.report[name] for name in ("architecture", "num_classes", "options")}
    assert facts == {"architecture": "transformers/vit", "num_classes": CLASSES, "options": {}}


def test_an_unexpected_error_is_reported_as_retryable(
    start_trainer: StartTrainer, stripes: Path, tmp_path: Path
) -> None:
    trainer = start_trainer(TRAINER_COMMAND)
    trainer.send_request(endless_request(stripes, tmp_path / "missing"))
    (event,) = read_events(trainer)
    assert isinstance(event, RunFailed)
    assert (event.error["code"], event.error["retryable"]) == ("internal_error", True)
    assert "FileNotFoundError" in event.error["message"]


def test_a_job_without_enough_memory_fails_with_out_of_memory(
    start_trainer: StartTrainer, stripes: Path, tmp_path: Path
) -> None:
    trainer = start_trainer(TRAINER_COMMAND)
    trainer.send_request(endless_request(stripes, tmp_path).model_copy(update={"memory_bytes": 1}))
    *_, last = read_events(trainer)
    assert isinstance(last, RunFailed)
    assert (last.error["code"], last.error["retryable"]) == ("out_of_memory", False)


def test_a_data_set_is_checked_and_a_student_trained_and_published(
    stripes_harness: WorkerHarness,
) -> None:
    assert stripes_harness.principal == Principal("key_test", "test")
    context = stripes_harness.create_context(TRAINER_COMMAND, progress_seconds=0.2)
    dataset_id = stripes_harness.upload_dataset()
    job_id = stripes_harness.submit(
        dataset={"id": dataset_id}, training={"epochs": 2, "batch_size": 16}, export=["safetensors"]
    )
    assert stripes_harness.run_next_job(context, QueueName.CHECKS).status == "succeeded"
    job = stripes_harness.run_next_job(context)
    assert (job.id, job.status) == (job_id, "succeeded")
    assert (job.progress["step"], job.progress["fraction"]) == (16, 1.0)
    with stripes_harness.database.read() as session:
        model = model_versions.get(session, job.model_id or "")
        (file,) = model_versions.list_files(session, model.id)
    assert model.classes == ["diagonal", "horizontal", "vertical"]
    assert (file.name, file.top1) == ("student.safetensors", model.metrics["student"]["top1"])
    assert stripes_harness.store.exists(file.sha256)


def test_a_pretrained_teacher_is_loaded_from_the_local_cache(
    stripes_harness: WorkerHarness,
    stripes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "hub").mkdir()
    disable_network(tmp_path / "hub", monkeypatch)
    fill_hf_cache(tmp_path / "hub", train_cached_model(stripes, tmp_path / "weights"))
    context = stripes_harness.create_context(TRAINER_COMMAND, progress_seconds=0.2)
    dataset_id = stripes_harness.upload_dataset()
    spec = {
        "dataset": {"id": dataset_id},
        "training": {"epochs": 1, "batch_size": 16},
        "export": ["safetensors"],
    }
    stripes_harness.submit(**spec, teacher={"pretrained": TIMM})
    stripes_harness.submit(**spec, teacher={"pretrained": TORCHVISION})
    assert stripes_harness.run_next_job(context, QueueName.CHECKS).status == "succeeded"
    succeeded = stripes_harness.run_next_job(context)
    failed = stripes_harness.run_next_job(context)
    assert (succeeded.status, succeeded.error) == ("succeeded", None)
    (verification,) = [
        data for kind, data in stripes_harness.events(succeeded.id) if kind == "teacher"
    ]
    assert (verification["architecture"], verification["top1"]) == (TIMM, None)
    assert verification["knn_top1"] > 0.8
    assert failed.status == "failed"
    assert failed.error is not None
    assert (failed.error["code"], failed.error["retryable"]) == ("weights_unavailable", False)
    assert "TORCH_HOME" in failed.error["hint"]
