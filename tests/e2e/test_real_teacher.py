"""A checkpoint that others have trained becomes a student that is as good outside the service as its page says."""

from pathlib import Path
from typing import Any

import pytest

from dlkd_client.onnx_check import run_onnx

from .conftest import service

STEPS = 8


def test_a_real_teacher_is_distilled_through_rest_into_files_that_keep_their_word(
    shared_data: Path, few_cifar10: Path, tmp_path: Path
) -> None:
    with service(tmp_path / "data") as client:
        teacher = client.ready(client.upload_teacher(shared_data / "teachers" / "cifar10_resnet20-12fca82f.th"))
        assert (teacher.architecture, teacher.num_classes, teacher.parameters) == ("resnet20", 10, 269_722)
        dataset = client.ready(client.upload_dataset(few_cifar10))
        assert dataset.splits == {"train": 200, "val": 300}
        job = client.submit(
            {
                "name": "real",
                "teacher": {"id": teacher.id},
                "student": {"architecture": "resnet8"},
                "dataset": {"id": dataset.id},
                "method": {"name": "dlkd"},
                "training": {"batch_size": 16, "max_steps": STEPS},
                "export": ["safetensors", "onnx"],
            }
        )
        job = client.wait(job.id)
        assert (job.status, job.progress.step, job.progress.fraction) == ("succeeded", STEPS, 1.0)

        (proof,) = [event.data for event in client.events(job.id) if event.type == "teacher"]
        assert proof["images"] == 300
        assert proof["top1"] > 0.88  # 92.6 % of the whole set
        loss = client.metrics(job.id)["series"]
        assert {"train/loss", "train/alignment", "train/correlation", "val/top1"} <= set(loss)

        model = client.model(job.model_id or "")
        assert (model.metrics["teacher"] or {})["top1"] == proof["top1"]
        outside = run_onnx(client.download(model, "student.onnx", tmp_path), few_cifar10)
        assert outside.images == 300
        assert outside.top1 == model.file("student.onnx").top1 == (model.metrics["student"] or {})["top1"]


def test_a_graph_of_no_catalog_and_a_teacher_of_a_thousand_classes_teach_through_rest(shared_data: Path, tmp_path: Path) -> None:
    usual = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    ten = {"class_map": [0, 217, 482, 491, 497, 566, 569, 571, 574, 701], "normalization": usual}
    stories: list[tuple[str, str, dict[str, Any], str, float]] = [
        ("cifar100_osinet.onnx", "cifar100_subset_png.zip", {}, "resnet8", 0.828),
        ("imagenet_squeezenet1_0.pth", "imagenette_subset.zip", ten, "MobileNetV2", 0.97),
    ]
    with service(tmp_path / "data") as client:
        for file, images, said, student, top1 in stories:
            teacher = client.ready(client.upload_teacher(shared_data / "teachers" / file))
            dataset = client.ready(client.upload_dataset(shared_data / images))
            job = client.submit(
                {
                    "teacher": {"id": teacher.id, **said},
                    "student": {"architecture": student},
                    "dataset": {"id": dataset.id},
                    "method": {"name": "kd"},
                    "training": {"batch_size": 4, "max_steps": 1},
                    "export": ["bundle"],
                }
            )
            job = client.wait(job.id)
            (proof,) = [event.data for event in client.events(job.id) if event.type == "teacher"]
            assert (job.status, proof["top1"]) == ("succeeded", pytest.approx(top1, abs=0.003))
            assert [one.name for one in client.model(job.model_id or "").files] == ["student.zip"]
