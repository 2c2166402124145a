"""Tests that teacher cache files stay within the size limit and do not affect trained weights."""

import os
from pathlib import Path
from typing import Any

import pytest

from dlkd_core.data.inspection import inspect_dataset
from registry.attempts.claims import Claim
from registry.db.job_tables import Job
from registry.models import model_versions
from registry.uploads.upload_check_jobs import PACKED_FILE
from tests.worker.conftest import WorkerHarness
from worker.teacher_cache_files import CACHE_FOLDER, assign_cache_file
from worker.worker_process import TRAINER_COMMAND


def make_claim(number: int) -> Claim:
    inputs = {"teacher": {"digest": f"teacher {number}"}, "dataset": {"digest": "images"}}
    return Claim(f"job_{number}", "distill", 1, "worker_0", "train", {}, inputs)


def test_the_least_recently_used_files_are_evicted_unless_they_are_in_use(
    harness: WorkerHarness,
) -> None:
    context = harness.create_context(teacher_cache_bytes=1000)
    folder = context.scratch / CACHE_FOLDER

    def use_file(number: int) -> Path:
        (directory := context.scratch / f"job_{number}-1").mkdir()
        assigned = assign_cache_file(context, make_claim(number), directory, "")
        assert assigned is not None
        other_files = [file for file in folder.iterdir() if file != assigned.file]
        assert assigned.max_bytes == 1000 - sum(file.stat().st_size for file in other_files)
        os.truncate(assigned.file, 300)
        os.utime(assigned.file, (number, number))
        return assigned.file

    first, second, third = use_file(1), use_file(2), use_file(3)
    assert {first, second, third} == set(folder.iterdir())
    for number in (1, 2):  # both attempts end, so their files are no longer in use
        (context.scratch / f"job_{number}-1" / "teacher_cache").unlink()
    fourth = use_file(4)
    assert {third, fourth} == set(folder.iterdir())


@pytest.mark.parametrize(("limit", "gpu"), [(0, ""), (1000, "0")])
def test_no_file_is_assigned_if_the_cache_is_off_or_on_a_gpu(
    harness: WorkerHarness, tmp_path: Path, limit: int, gpu: str
) -> None:
    context = harness.create_context(teacher_cache_bytes=limit)
    assert assign_cache_file(context, make_claim(1), tmp_path, gpu) is None


@pytest.mark.e2e
def test_a_student_has_the_same_weights_with_and_without_the_cache(
    harness: WorkerHarness, stripes: Path, tmp_path: Path
) -> None:
    report = inspect_dataset(stripes, tmp_path)
    content = (tmp_path / PACKED_FILE).read_bytes()
    harness.store_file = lambda _=None: harness.store.put([content])  # type: ignore[method-assign]
    dataset = {"id": harness.add_ready_dataset(**report)}
    spec = {
        "dataset": dataset,
        "training": {"epochs": 2, "batch_size": 16},
        "export": ["safetensors"],
    }
    cached = harness.create_context(TRAINER_COMMAND)
    uncached = harness.create_context(TRAINER_COMMAND, teacher_cache_bytes=0)

    def get_model_and_digest(job: Job) -> tuple[str, str]:
        assert job.status == "succeeded", job.error
        with harness.database.read() as session:
            (file,) = model_versions.list_files(session, job.model_id or "")
        return job.model_id or "", file.sha256

    harness.submit(**spec)
    teacher, _ = get_model_and_digest(harness.run_next_job(cached))
    assert not (cached.scratch / CACHE_FOLDER).exists()
    student: dict[str, Any] = {**spec, "teacher": {"model_id": teacher}, "method": {"name": "kd"}}
    digests = []
    for context in (cached, cached, uncached):
        harness.submit(**student)
        digests.append(get_model_and_digest(harness.run_next_job(context))[1])
    assert len(set(digests)) == 1
    (cache_file,) = (cached.scratch / CACHE_FOLDER).glob("*.sqlite")
    assert cache_file.stat().st_size > 2 * 120 * 4 * 3  # two epochs, 120 images, three classes
    assert not (uncached.scratch / CACHE_FOLDER).exists()
