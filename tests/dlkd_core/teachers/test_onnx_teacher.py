"""Teachers as ONNX graphs, made with onnx's own builder and by others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from dlkd_core.data import open_dataset
from dlkd_core.errors import CheckpointRefused, CheckpointUnreadable, ClassesDoNotFit, ImagesDoNotFit, KeysDoNotFit
from dlkd_core.spec import Normalization, TeacherFile
from dlkd_core.teachers.load import inspect_teacher, load_teacher
from dlkd_core.teachers.onnx_graph import read_graph
from dlkd_core.teachers.taught import bring

CPU = torch.device("cpu")
PLAIN = Normalization(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
Save = Callable[..., Path]


def graph(batch: Any = "batch", side: Any = 8, channels: int = 3) -> onnx.ModelProto:
    """Two convolutions (5 maps of 8 x 8, 7 of 4 x 4), the mean over each map, and a classifier of 4 classes."""
    random = np.random.default_rng(0)
    weights = {"w1": (5, channels, 3, 3), "w2": (7, 5, 3, 3), "w3": (7, 4)}
    constants = [numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name) for name, shape in weights.items()]
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
    made = helper.make_graph(nodes, "net", [image], [logits], constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def save(model: onnx.ModelProto, **options: Any) -> Path:
        onnx.save(model, tmp_path / "teacher.onnx", **options)
        return tmp_path / "teacher.onnx"

    return save


def test_a_graph_is_recognised_by_its_input_logits_and_weights(save: Save) -> None:
    facts = inspect_teacher(save(graph()))
    parameters = 5 * 3 * 9 + 7 * 5 * 9 + 7 * 4
    assert facts == {"format": "onnx", "architecture": None, "options": {}, "num_classes": 4, "parameters": parameters}


def test_features_stand_before_the_classifier_and_maps_are_the_last_of_each_size(save: Save) -> None:
    found = read_graph(save(graph()))
    assert (found.features, found.maps) == ("flat", ("first", "second"))


def test_what_it_shows_has_the_shapes_of_any_teacher(save: Save) -> None:
    shown = load_teacher(save(graph())).source.tapped(PLAIN, CPU)(torch.rand(6, 3, 8, 8))
    assert [tuple(part.shape) for part in (shown.logits, shown.features, *shown.maps)] == [
        (6, 4),
        (6, 7),
        (6, 5, 8, 8),
        (6, 7, 4, 4),
    ]
    torch.testing.assert_close(shown.maps[-1].mean(dim=(2, 3)), shown.features)


def test_a_named_tensor_is_the_feature(save: Save) -> None:
    shown = load_teacher(save(graph()), features="first").source.tapped(PLAIN, CPU)(torch.rand(2, 3, 8, 8))
    torch.testing.assert_close(shown.features, shown.maps[0].mean(dim=(2, 3)))


def test_the_normalisation_is_applied_before_the_graph(save: Save) -> None:
    source = load_teacher(save(graph())).source
    images = torch.rand(2, 3, 8, 8)
    halves = Normalization(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    expected = source.tapped(PLAIN, CPU).logits((images - 0.5) / 0.25)
    torch.testing.assert_close(source.tapped(halves, CPU).logits(images), expected)


def test_a_graph_that_insists_on_its_batch_size_is_fed_in_such_parts(save: Save) -> None:
    images = torch.rand(5, 3, 8, 8)
    free = load_teacher(save(graph())).source.tapped(PLAIN, CPU)(images)
    bound = load_teacher(save(graph(batch=2))).source.tapped(PLAIN, CPU)(images)
    torch.testing.assert_close(bound.logits, free.logits)
    torch.testing.assert_close(bound.maps[0], free.maps[0])


def test_images_of_another_size_are_refused_with_both_sizes(save: Save) -> None:
    with pytest.raises(ImagesDoNotFit, match=r"8 x 8 pixels; these have 32 x 32"):
        load_teacher(save(graph())).source.tapped(PLAIN, CPU)(torch.rand(2, 3, 32, 32))


def test_a_graph_of_free_size_takes_any(save: Save) -> None:
    shown = load_teacher(save(graph(side=None))).source.tapped(PLAIN, CPU)(torch.rand(2, 3, 12, 12))
    assert shown.logits.shape == (2, 4)


def test_what_was_told_is_held_against_the_graph(save: Save) -> None:
    path = save(graph())
    with pytest.raises(KeysDoNotFit, match="network of its own"):
        load_teacher(path, architecture="resnet20")
    with pytest.raises(ClassesDoNotFit, match="4 classes, not 10"):
        load_teacher(path, num_classes=10)
    with pytest.raises(CheckpointRefused, match="no tensor 'nowhere'"):
        load_teacher(path, features="nowhere")


def test_weights_in_another_file_are_refused(save: Save) -> None:
    path = save(graph(), save_as_external_data=True, size_threshold=0)
    with pytest.raises(CheckpointRefused, match="another file"):
        load_teacher(path)


def test_a_graph_of_something_else_than_rgb_images_is_refused(save: Save) -> None:
    with pytest.raises(CheckpointRefused, match="no image classifier"):
        load_teacher(save(graph(channels=1)))


def test_a_file_that_was_cut_off_is_unreadable(save: Save) -> None:
    path = save(graph())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CheckpointUnreadable):
        load_teacher(path)


def test_a_network_of_no_catalog_proves_itself_on_real_images(shared_data: Path) -> None:
    data = open_dataset(shared_data / "cifar100_subset_png.zip")
    own = Normalization(mean=(0.5071, 0.4867, 0.4408), std=(0.2675, 0.2565, 0.2761))
    file = shared_data / "teachers" / "cifar100_osinet.onnx"
    taught = bring(TeacherFile(path=file, normalization=own), data, CPU)
    assert taught.proof.scores.top1 == pytest.approx(0.824, abs=0.002)  # 80.85 % of the whole 10,000
    shown = taught(torch.rand(2, 3, 32, 32))
    assert (shown.features.shape, [tuple(one.shape[2:]) for one in shown.maps]) == ((2, 136), [(31, 31), (15, 15), (7, 7)])
