"""Tests that published checkpoints work as teachers and that reported accuracy is reproducible."""

from pathlib import Path
from typing import Any

import pytest

from dlkd_client.local.onnx_evaluation import evaluate_onnx
from tests.e2e.conftest import run_service

MAX_STEPS = 8


def test_real_teacher_is_distilled_and_files_match_reported_accuracy(
    shared_data: Path, few_cifar10: Path, tmp_path: Path
) -> None:
    with run_service(tmp_path / "data") as client:
        teacher = client.wait_until_ready(
            client.upload_teacher(shared_data / "teachers" / "cifar10_resnet20-12fca82f.th")
        )
        assert (teacher.architecture, teacher.num_classes) == ("resnet20", 10)
        assert teacher.parameters == 269_722
        dataset = client.wait_until_ready(client.upload_dataset(few_cifar10))
        assert dataset.splits == {"train": 200, "val": 300}
        job = client.submit(
            {
                "name": "real",
                "teacher": {"id": teacher.id},
                "student": {"architecture": "resnet8"},
                "dataset": {"id": dataset.id},
                "method": {"name": "dlkd"},
                "training": {"batch_size": 16, "max_steps": MAX_STEPS},
                "export": ["safetensors", "onnx"],
            }
        )
        job = client.wait(job.id)
        assert job.status == "succeeded"
        assert (job.progress.step, job.progress.fraction) == (MAX_STEPS, 1.0)

        (verification,) = [event.data for event in client.events(job.id) if event.type == "teacher"]
        assert verification["images"] == 300
        assert verification["top1"] > 0.88  # 92.6 % on the complete test set
        series = client.metrics(job.id)["series"]
        assert {"train/loss", "train/alignment", "train/correlation", "val/top1"} <= set(series)

        model = client.model(job.model_id or "")
        assert (model.metrics["teacher"] or {})["top1"] == verification["top1"]
        evaluation = evaluate_onnx(client.download(model, "student.onnx", tmp_path), few_cifar10)
        assert evaluation.images == 300
        assert evaluation.top1 == model.file("student.onnx").top1
        assert evaluation.top1 == (model.metrics["student"] or {})["top1"]


@pytest.mark.timeout(900)  # evaluates on images of 224 pixels
def test_onnx_teacher_and_imagenet_teacher_distill_through_rest(
    shared_data: Path, tmp_path: Path
) -> None:
    imagenet = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    ten_classes = {
        "class_map": [0, 217, 482, 491, 497, 566, 569, 571, 574, 701],
        "normalization": imagenet,
    }
    cases: list[tuple[str, str, dict[str, Any], str, float]] = [
        # with the normalization of its training, which is found
        ("cifar100_osinet.onnx", "cifar100_subset_png.zip", {}, "resnet8", 0.824),
        ("imagenet_squeezenet1_0.pth", "imagenette_subset.zip", ten_classes, "MobileNetV2", 0.97),
    ]
    with run_service(tmp_path / "data") as client:
        for checkpoint, images, options, student, top1 in cases:
            teacher = client.wait_until_ready(
                client.upload_teacher(shared_data / "teachers" / checkpoint)
            )
            dataset = client.wait_until_ready(client.upload_dataset(shared_data / images))
            job = client.submit(
                {
                    "teacher": {"id": teacher.id, **options},
                    "student": {"architecture": student},
                    "dataset": {"id": dataset.id},
                    "method": {"name": "kd"},
                    "training": {"batch_size": 4, "max_steps": 1},
                    "export": ["bundle"],
                }
            )
            job = client.wait(job.id)
            (verification,) = [
                event.data for event in client.events(job.id) if event.type == "teacher"
            ]
            assert (job.status, verification["top1"]) == (
                "succeeded",
                pytest.approx(top1, abs=0.003),
            )
            files = client.model(job.model_id or "").files
            assert [file.name for file in files] == ["student.zip"]
