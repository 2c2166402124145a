"""A network of transformers teaches a student, from the folder's zip to the report."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from dlkd_core.data import open_dataset
from dlkd_core.spec import DistillationSpec, TeacherFile
from dlkd_core.teachers.verified_teacher import load_teacher
from tests.dlkd_core.run_helpers import notice_messages, run_to_end
from tests.dlkd_core.teachers.transformers.network_folders import (
    build_network,
    save_files,
    write_zip,
)

MEAN, STD = 0.4, 0.3


@pytest.fixture(scope="module")
def teacher_files(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Train a small ResNet with the classes in reverse order, and return its folder."""
    data = open_dataset(stripes)
    names = data.classes[::-1]
    network = build_network(
        "resnet",
        num_labels=len(names),
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
    )
    images = (data.train.images.float() / 255 - MEAN) / STD
    labels = len(names) - 1 - data.train.labels
    optimizer = torch.optim.AdamW(network.train().parameters(), lr=0.01)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(40):
            rows = torch.randperm(len(labels))[:40]
            loss = cross_entropy(network(pixel_values=images[rows]).logits, labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    preprocessor = {"image_mean": [MEAN] * 3, "image_std": [STD] * 3, "do_normalize": True}
    return {
        **save_files(network.eval(), tmp_path_factory.mktemp("teacher") / "network"),
        "preprocessor_config.json": json.dumps(preprocessor).encode(),
    }


def test_two_epochs_with_feature_maps_and_class_names(
    teacher_files: dict[str, bytes], stripes: Path, tmp_path: Path
) -> None:
    path = write_zip(tmp_path / "teacher.zip", teacher_files)
    spec: dict[str, Any] = {
        "teacher": {"path": path},
        "student": {"architecture": "resnet8"},
        "dataset": {"path": stripes},
        "method": {"name": "at"},
        "training": {"epochs": 2, "batch_size": 16, "learning_rate": 0.1, "flip": False},
        "export": ["safetensors"],
    }
    report, events = run_to_end(DistillationSpec.model_validate(spec), tmp_path)
    assert report["metrics"]["teacher"]["top1"] > 0.8
    messages = notice_messages(events)
    assert any("Their names give class_map [2, 1, 0]" in message for message in messages)


def test_the_stated_normalization_is_used(
    teacher_files: dict[str, bytes], stripes: Path, tmp_path: Path
) -> None:
    teacher = TeacherFile(path=write_zip(tmp_path / "teacher.zip", teacher_files))
    verified = load_teacher(teacher, open_dataset(stripes), torch.device("cpu"))
    assert verified.verification.normalization.mean == pytest.approx((MEAN,) * 3)
    assert verified.verification.normalization.std == pytest.approx((STD,) * 3)
    assert verified.class_map == (2, 1, 0)


def test_a_requested_class_map_wins_over_the_names(
    teacher_files: dict[str, bytes], stripes: Path, tmp_path: Path
) -> None:
    path = write_zip(tmp_path / "teacher.zip", teacher_files)
    teacher = TeacherFile(path=path, class_map="auto")
    verified = load_teacher(teacher, open_dataset(stripes), torch.device("cpu"))
    assert not any("Their names" in notice for notice in verified.loaded.notices)
