"""From images to a checked student through REST, a queue, a database, a store and real trainers."""

from pathlib import Path
from time import sleep
from typing import Any

import httpx

from dlkd_client.answers import Dataset, Job, Model
from dlkd_client.client import Client
from dlkd_client.onnx_check import run_onnx
from tests.stripes import CLASSES

_SHORT = {"epochs": 2, "batch_size": 16, "learning_rate": 0.1, "flip": False}


def submitted(client: Client, dataset: Dataset, architecture: str, **parts: Any) -> Job:
    return client.submit({"student": {"architecture": architecture}, "dataset": {"id": dataset.id}, "training": _SHORT, **parts})


def made_by(client: Client, job: Job) -> Model:
    """The model of a job that must succeed."""
    job = client.wait(job.id, poll=0.1)
    assert (job.status, job.progress.fraction) == ("succeeded", 1.0), job.error
    return client.model(job.model_id or "")


def cancelled_in_the_middle(client: Client, job: Job) -> Job:
    while not (job := client.job(job.id)).progress.step:
        assert not job.ended, job
        sleep(0.1)
    client.cancel(job.id)
    return client.wait(job.id, poll=0.1)


def test_a_teacher_is_trained_and_distilled_and_its_student_keeps_its_word(client: Client, stripes: Path, tmp_path: Path) -> None:
    dataset = client.ready(client.upload_dataset(stripes))
    assert (dataset.classes, dataset.splits) == (list(CLASSES), {"train": 120, "val": 60})
    assert set(httpx.get(f"{client.url}/readyz").json()["checks"].values()) == {"ok"}

    endless = cancelled_in_the_middle(client, submitted(client, dataset, "resnet8", training={**_SHORT, "epochs": 100_000}))
    assert (endless.status, endless.model_id) == ("cancelled", None)

    teacher = made_by(client, submitted(client, dataset, "resnet14", export=["safetensors"]))
    distil = {"teacher": {"model_id": teacher.id}, "method": {"name": "dlkd"}, "export": ["onnx"]}
    student = made_by(client, submitted(client, dataset, "resnet8", **distil))

    told = {event.type: event.data for event in client.events(student.job_id)}
    assert (told["teacher"]["images"], told["teacher"]["top1"]) == (60, (student.metrics["teacher"] or {})["top1"])
    assert {"train/alignment", "train/correlation", "val/top1"} <= set(client.metrics(student.job_id)["series"])
    outside = run_onnx(client.download(student, "student.onnx", tmp_path), stripes)
    assert outside.images == 60
    assert outside.top1 == student.file("student.onnx").top1 == (student.metrics["student"] or {})["top1"]
