"""Tests for ONNX teachers: graphs built in the tests and files exported by other projects."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from dlkd_core.data import open_dataset
from dlkd_core.errors import (
    CheckpointRefused,
    CheckpointUnreadable,
    ClassesDoNotFit,
    ImagesDoNotFit,
    KeysDoNotFit,
)
from dlkd_core.spec import Normalization, TeacherFile
from dlkd_core.teachers.loading import inspect_teacher, load_teacher_file
from dlkd_core.teachers.onnx.onnx_reader import read_graph
from dlkd_core.teachers.verified_teacher import load_teacher

CPU = torch.device("cpu")
IDENTITY = Normalization(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
Save = Callable[..., Path]


def build_graph(batch: Any = "batch", side: Any = 8, channels: int = 3) -> onnx.ModelProto:
    """Build a graph with two convolutions, global pooling and a classifier for 4 classes.

    For 8 x 8 images, the feature maps have the shapes (5, 8, 8) and (7, 4, 4).
    """
    random = np.random.default_rng(0)
    weights = {"w1": (5, channels, 3, 3), "w2": (7, 5, 3, 3), "w3": (7, 4)}
    constants = [
        numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)
        for name, shape in weights.items()
    ]
    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["one"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["one"], ["first"]),
        helper.make_node("Conv", ["first", "w2"], ["two"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["two"], ["second"]),
        helper.make_node("GlobalAveragePool", ["second"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w3"], ["logits"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, channels, side, side])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, 4])
    network = helper.make_graph(nodes, "net", [image], [logits], constants)
    return helper.make_model(network, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def save(model: onnx.ModelProto, **options: Any) -> Path:
        onnx.save(model, tmp_path / "teacher.onnx", **options)
        return tmp_path / "teacher.onnx"

    return save


def test_inspection_of_a_graph_gives_its_classes_and_parameters(save: Save) -> None:
    description = inspect_teacher(save(build_graph()))
    parameters = 5 * 3 * 9 + 7 * 5 * 9 + 7 * 4
    assert description == {
        "format": "onnx",
        "architecture": None,
        "options": {},
        "num_classes": 4,
        "parameters": parameters,
        "notices": [],
        "alternatives": [],
    }


def test_features_are_the_classifiers_input_and_maps_are_the_last_of_each_size(
    save: Save,
) -> None:
    graph = read_graph(save(build_graph()))
    assert (graph.features, graph.maps) == ("flat", ("first", "second"))


def test_outputs_have_the_shapes_of_any_teacher(save: Save) -> None:
    outputs = load_teacher_file(save(build_graph())).source.build_extractor(IDENTITY, CPU)(
        torch.rand(6, 3, 8, 8)
    )
    assert [
        tuple(part.shape) for part in (outputs.logits, outputs.features, *outputs.feature_maps)
    ] == [
        (6, 4),
        (6, 7),
        (6, 5, 8, 8),
        (6, 7, 4, 4),
    ]
    torch.testing.assert_close(outputs.feature_maps[-1].mean(dim=(2, 3)), outputs.features)


def test_a_named_tensor_is_the_feature(save: Save) -> None:
    outputs = load_teacher_file(save(build_graph()), features="first").source.build_extractor(
        IDENTITY, CPU
    )(torch.rand(2, 3, 8, 8))
    torch.testing.assert_close(outputs.features, outputs.feature_maps[0].mean(dim=(2, 3)))


def test_the_normalization_is_applied_before_the_graph(save: Save) -> None:
    source = load_teacher_file(save(build_graph())).source
    images = torch.rand(2, 3, 8, 8)
    halves = Normalization(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    expected = source.build_extractor(IDENTITY, CPU).logits((images - 0.5) / 0.25)
    torch.testing.assert_close(source.build_extractor(halves, CPU).logits(images), expected)


def test_a_graph_with_a_fixed_batch_size_runs_any_number_of_images(save: Save) -> None:
    images = torch.rand(5, 3, 8, 8)
    dynamic = load_teacher_file(save(build_graph())).source.build_extractor(IDENTITY, CPU)(images)
    fixed = load_teacher_file(save(build_graph(batch=2))).source.build_extractor(IDENTITY, CPU)(
        images
    )
    torch.testing.assert_close(fixed.logits, dynamic.logits)
    torch.testing.assert_close(fixed.feature_maps[0], dynamic.feature_maps[0])


def test_images_of_another_size_are_refused_with_both_sizes(save: Save) -> None:
    with pytest.raises(ImagesDoNotFit, match=r"8 x 8 pixels, but these images are 32 x 32"):
        load_teacher_file(save(build_graph())).source.build_extractor(IDENTITY, CPU)(
            torch.rand(2, 3, 32, 32)
        )


def test_a_graph_with_dynamic_image_size_accepts_any_size(save: Save) -> None:
    outputs = load_teacher_file(save(build_graph(side=None))).source.build_extractor(IDENTITY, CPU)(
        torch.rand(2, 3, 12, 12)
    )
    assert outputs.logits.shape == (2, 4)


def test_a_graph_that_contradicts_the_arguments_is_refused(save: Save) -> None:
    path = save(build_graph())
    with pytest.raises(KeysDoNotFit, match="defines its own network"):
        load_teacher_file(path, architecture="resnet20")
    with pytest.raises(ClassesDoNotFit, match="4 classes, not 10"):
        load_teacher_file(path, num_classes=10)
    with pytest.raises(CheckpointRefused, match="no tensor 'nowhere'"):
        load_teacher_file(path, features="nowhere")


def test_weights_in_another_file_are_refused(save: Save) -> None:
    path = save(build_graph(), save_as_external_data=True, size_threshold=0)
    with pytest.raises(CheckpointRefused, match="another file"):
        load_teacher_file(path)


def test_a_grayscale_graph_takes_images_with_one_channel(save: Save) -> None:
    loaded = load_teacher_file(save(build_graph(channels=1)))
    assert (loaded.channels, loaded.options) == (1, {"in_channels": 1})
    gray = Normalization(mean=(0.5,), std=(0.25,))
    outputs = loaded.source.build_extractor(gray, CPU)(torch.rand(2, 1, 8, 8))
    assert outputs.logits.shape == (2, 4)


def test_a_truncated_file_is_unreadable(save: Save) -> None:
    path = save(build_graph())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CheckpointUnreadable):
        load_teacher_file(path)


def test_a_network_outside_the_catalog_is_verified_on_real_images(shared_data: Path) -> None:
    data = open_dataset(shared_data / "cifar100_subset_png.zip")
    own = Normalization(mean=(0.5071, 0.4867, 0.4408), std=(0.2675, 0.2565, 0.2761))
    file = shared_data / "teachers" / "cifar100_osinet.onnx"
    teacher = load_teacher(TeacherFile(path=file, normalization=own), data, CPU)
    # the accuracy on all 10,000 images is 80.85 %
    assert teacher.verification.scores.top1 == pytest.approx(0.824, abs=0.002)
    outputs = teacher(torch.rand(2, 3, 32, 32))
    assert (
        outputs.features.shape,
        [tuple(feature_map.shape[2:]) for feature_map in outputs.feature_maps],
    ) == (
        (2, 136),
        [(31, 31), (15, 15), (7, 7)],
    )
