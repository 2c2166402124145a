"""What teachers answered before is kept within a budget, and changes no bit of what is learnt."""

import os
from pathlib import Path
from typing import Any

import pytest

from dlkd_core.data.inspect import inspect_dataset
from registry import models
from registry.claims import Claim
from registry.tables import Job
from registry.uploads import PACKED_FILE
from tests.worker.conftest import Workshop
from worker.lessons import FOLDER, lessons_of
from worker.main import TRAINER


def claim(number: int) -> Claim:
    inputs = {"teacher": {"digest": f"teacher {number}"}, "dataset": {"digest": "images"}}
    return Claim(f"job_{number}", "distill", 1, "worker_0", "train", {}, inputs)


def test_the_longest_unused_answers_make_room_and_those_in_use_stay(workshop: Workshop) -> None:
    kit = workshop.kit(teacher_cache_bytes=1000)
    folder = kit.scratch / FOLDER

    def used(number: int) -> Path:
        (directory := kit.scratch / f"job_{number}-1").mkdir()
        found = lessons_of(kit, claim(number), directory, "")
        assert found is not None
        assert found.budget == 1000 - sum(file.stat().st_size for file in folder.iterdir() if file != found.file)
        os.truncate(found.file, 300)
        os.utime(found.file, (number, number))
        return found.file

    first, second, third = used(1), used(2), used(3)
    assert {first, second, third} == set(folder.iterdir())
    for number in (1, 2):
        (kit.scratch / f"job_{number}-1" / "lessons").unlink()  # as an attempt does that ends
    fourth = used(4)
    assert {third, fourth} == set(folder.iterdir())


@pytest.mark.parametrize(("limit", "gpu"), [(0, ""), (1000, "0")])
def test_none_are_kept_where_they_are_not_wanted_or_no_use(workshop: Workshop, tmp_path: Path, limit: int, gpu: str) -> None:
    assert lessons_of(workshop.kit(teacher_cache_bytes=limit), claim(1), tmp_path, gpu) is None


@pytest.mark.e2e
def test_a_student_is_the_same_with_kept_answers_and_without(workshop: Workshop, stripes: Path, tmp_path: Path) -> None:
    report = inspect_dataset(stripes, tmp_path)
    content = (tmp_path / PACKED_FILE).read_bytes()
    workshop.put = lambda _=None: workshop.store.put([content])  # type: ignore[method-assign]
    dataset = {"id": workshop.ready_dataset(**report)}
    short = {"dataset": dataset, "training": {"epochs": 2, "batch_size": 16}, "export": ["safetensors"]}
    kit, without = workshop.kit(TRAINER), workshop.kit(TRAINER, teacher_cache_bytes=0)

    def weights(job: Job) -> tuple[str, str]:
        assert job.status == "succeeded", job.error
        with workshop.database.read() as session:
            (file,) = models.files(session, job.model_id or "")
        return job.model_id or "", file.sha256

    workshop.submit(**short)
    teacher, _ = weights(workshop.run(kit))
    assert not (kit.scratch / FOLDER).exists()
    taught: dict[str, Any] = {**short, "teacher": {"model_id": teacher}, "method": {"name": "kd"}}
    found = []
    for worker in (kit, kit, without):
        workshop.submit(**taught)
        found.append(weights(workshop.run(worker))[1])
    assert len(set(found)) == 1
    (kept,) = (kit.scratch / FOLDER).glob("*.sqlite")
    assert kept.stat().st_size > 2 * 120 * 4 * 3  # two epochs of 120 images and three classes
    assert not (without.scratch / FOLDER).exists()
