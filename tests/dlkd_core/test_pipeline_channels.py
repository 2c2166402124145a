"""Tests for whole runs on images that are not RGB."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from dlkd_core.errors import ImagesDoNotFit
from dlkd_core.spec import DistillationSpec
from tests.dlkd_core.data.sample_images import encode_png, write_zip
from tests.dlkd_core.run_helpers import run_to_end, run_to_report

SIDE, PER_CLASS = 28, {"train": 40, "val": 20}
MEAN, STD = 0.5, 0.25  # with which the teacher is trained


def draw_stripes(
    label: int, count: int, random: np.random.Generator, channels: int = 1
) -> npt.NDArray[np.uint8]:
    """Return noisy images (count, SIDE, SIDE, channels) with horizontal or vertical stripes."""
    line = np.where(np.arange(SIDE) // 4 % 2, 200, 60)
    image = np.broadcast_to(line if label else line[:, None], (SIDE, SIDE))
    noise = random.normal(0, 25, (count, SIDE, SIDE, channels))
    return (image[None, :, :, None] + noise).clip(0, 255).astype(np.uint8)


def draw_splits(channels: int) -> dict[str, tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]]:
    random = np.random.default_rng(0)
    return {
        split: (
            np.concatenate([draw_stripes(label, count, random, channels) for label in range(2)]),
            np.repeat([0, 1], count),
        )
        for split, count in PER_CLASS.items()
    }


@pytest.fixture(scope="module")
def gray_pngs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {
        f"{split}/{'ab'[label]}/{row:03}.png": encode_png(image[:, :, 0])
        for split, (images, labels) in draw_splits(1).items()
        for row, (image, label) in enumerate(zip(images, labels, strict=True))
    }
    return write_zip(tmp_path_factory.mktemp("gray") / "gray.zip", files)


@pytest.fixture(scope="module")
def gray_onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grayscale network in no catalog, trained on the stripes and exported to ONNX."""
    torch.manual_seed(0)
    network = nn.Sequential(
        *(nn.Conv2d(1, 8, 5, 2, 2), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 2)),
    )
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    images, labels = draw_splits(1)["train"]
    batch = (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - MEAN) / STD
    for _ in range(40):
        loss = nn.functional.cross_entropy(network(batch), torch.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    path = tmp_path_factory.mktemp("gray") / "fashion.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # most ONNX files still come from this exporter
        torch.onnx.export(
            network.eval(),
            (batch[:2],),
            path,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
            dynamo=False,
        )
    return path


def make_spec(path: Path, **parts: Any) -> DistillationSpec:
    base = {
        "student": {"architecture": "resnet8"},
        "dataset": {"path": path, **parts.pop("dataset", {})},
        "training": {"epochs": 3, "batch_size": 16, "learning_rate": 0.1, "flip": False},
        "export": ["safetensors"],
    }
    return DistillationSpec.model_validate({**base, **parts})


def run_onnx(path: Path, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    pixels = images.transpose(0, 3, 1, 2).astype(np.float32) / 255
    return np.asarray(session.run(["logits"], {"image": pixels})[0])


def test_a_grayscale_onnx_teacher_teaches_a_student_whose_graph_takes_one_channel(
    gray_pngs: Path, gray_onnx: Path, tmp_path: Path
) -> None:
    spec = make_spec(
        gray_pngs,
        teacher={"path": gray_onnx},
        method={"name": "dlkd_auto"},
        export=["safetensors", "onnx", "onnx_int8", "bundle"],
    )
    report = run_to_report(spec, tmp_path)
    assert report["metrics"]["teacher"]["top1"] == 1
    assert report["metrics"]["student"]["top1"] > 0.9
    assert report["image"]["channels"] == 1
    assert report["options"] == {"in_channels": 1}
    assert len(report["normalization"]["mean"]) == 1
    assert load_file(tmp_path / "student.safetensors")["conv1.weight"].shape == (16, 1, 3, 3)
    graph = onnx.load(tmp_path / "student.onnx").graph
    shape = [dim.dim_value for dim in graph.input[0].type.tensor_type.shape.dim]
    assert shape[1:] == [1, SIDE, SIDE]
    images, labels = draw_splits(1)["val"]
    for name in ("student.onnx", "student.int8.onnx"):
        assert (run_onnx(tmp_path / name, images).argmax(1) == labels).mean() > 0.9


def test_a_grayscale_student_teaches_the_next_student(gray_pngs: Path, tmp_path: Path) -> None:
    first = run_to_report(
        make_spec(gray_pngs, dataset={"channels": 1}, training={"epochs": 6, "batch_size": 16}),
        tmp_path / "first",
    )
    teacher = {
        "path": tmp_path / "first" / "student.safetensors",
        "architecture": "resnet8",
        "options": first["options"],
    }
    report = run_to_report(make_spec(gray_pngs, teacher=teacher), tmp_path / "second")
    assert report["image"]["channels"] == 1
    assert report["metrics"]["teacher"]["top1"] == first["metrics"]["student"]["top1"]


def test_an_rgb_teacher_sees_grayscale_images_in_rgb(gray_pngs: Path, tmp_path: Path) -> None:
    run_to_report(make_spec(gray_pngs, training={"epochs": 6, "batch_size": 16}), tmp_path / "rgb")
    teacher = {"path": tmp_path / "rgb" / "student.safetensors", "architecture": "resnet8"}
    as_rgb = run_to_report(make_spec(gray_pngs, teacher=teacher), tmp_path / "default")
    gray = run_to_report(
        make_spec(gray_pngs, teacher=teacher, dataset={"channels": 1}), tmp_path / "gray"
    )
    assert (as_rgb["image"]["channels"], gray["image"]["channels"]) == (3, 1)
    quality = [report["metrics"]["teacher"]["nll"] for report in (as_rgb, gray)]
    assert quality[0] == pytest.approx(quality[1], rel=1e-6)


def test_images_with_five_channels_train_a_student_for_five_channels(tmp_path: Path) -> None:
    splits = draw_splits(5)
    path = tmp_path / "satellite.npz"
    np.savez(
        path,
        **{f"{split}_images": images for split, (images, _) in splits.items()},
        **{f"{split}_labels": labels for split, (_, labels) in splits.items()},
    )
    report, _ = run_to_end(make_spec(path, export=["safetensors", "onnx"]), tmp_path)
    assert report["image"]["channels"] == 5
    assert report["metrics"]["student"]["top1"] > 0.9
    images, labels = splits["val"]
    assert (run_onnx(tmp_path / "student.onnx", images).argmax(1) == labels).mean() > 0.9


def test_a_number_of_channels_that_the_teacher_does_not_take_is_refused(
    gray_pngs: Path, gray_onnx: Path, tmp_path: Path
) -> None:
    spec = make_spec(gray_pngs, teacher={"path": gray_onnx}, dataset={"channels": 3})
    with pytest.raises(ImagesDoNotFit, match="takes images with 1 channels") as refusal:
        run_to_report(spec, tmp_path)
    assert refusal.value.pointer == "/dataset/channels"
