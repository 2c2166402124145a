"""Tests for the whole path from uploaded images to a verified student, with real trainers."""

from pathlib import Path
from time import sleep
from typing import Any

import httpx

from dlkd_client.client import Client
from dlkd_client.local.onnx_evaluation import evaluate_onnx
from dlkd_client.responses import Dataset, Job, Model
from tests.support.stripes_dataset import CLASSES

_SHORT = {"epochs": 2, "batch_size": 16, "learning_rate": 0.1, "flip": False}


def submit(client: Client, dataset: Dataset, architecture: str, **parts: Any) -> Job:
    return client.submit(
        {
            "student": {"architecture": architecture},
            "dataset": {"id": dataset.id},
            "training": _SHORT,
            **parts,
        }
    )


def wait_for_model(client: Client, job: Job) -> Model:
    """Wait until a job has succeeded and return its model."""
    job = client.wait(job.id, poll_seconds=0.1)
    assert (job.status, job.progress.fraction) == ("succeeded", 1.0), job.error
    return client.model(job.model_id or "")


def cancel_while_running(client: Client, job: Job) -> Job:
    while not (job := client.job(job.id)).progress.step:
        assert not job.is_finished, job
        sleep(0.1)
    client.cancel(job.id)
    return client.wait(job.id, poll_seconds=0.1)


def test_a_trained_teacher_is_distilled_into_a_student_with_the_reported_accuracy(
    client: Client, stripes: Path, tmp_path: Path
) -> None:
    dataset = client.wait_until_ready(client.upload_dataset(stripes))
    assert (dataset.classes, dataset.splits) == (list(CLASSES), {"train": 120, "val": 60})
    assert set(httpx.get(f"{client.url}/readyz").json()["checks"].values()) == {"ok"}

    endless = cancel_while_running(
        client, submit(client, dataset, "resnet8", training={**_SHORT, "epochs": 100_000})
    )
    assert (endless.status, endless.model_id) == ("cancelled", None)

    teacher = wait_for_model(client, submit(client, dataset, "resnet14", export=["safetensors"]))
    student_parts = {
        "teacher": {"model_id": teacher.id},
        "method": {"name": "dlkd"},
        "export": ["onnx"],
    }
    student = wait_for_model(client, submit(client, dataset, "resnet8", **student_parts))

    events = {event.type: event.data for event in client.events(student.job_id)}
    assert (events["teacher"]["images"], events["teacher"]["top1"]) == (
        60,
        (student.metrics["teacher"] or {})["top1"],
    )
    assert {"train/alignment", "train/correlation", "val/top1"} <= set(
        client.metrics(student.job_id)["series"]
    )
    evaluation = evaluate_onnx(client.download(student, "student.onnx", tmp_path), stripes)
    assert evaluation.images == 60
    assert (
        evaluation.top1
        == student.file("student.onnx").top1
        == (student.metrics["student"] or {})["top1"]
    )
