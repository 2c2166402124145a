"""Tests for the ways in which tools export one and the same network to ONNX."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from dlkd_core.errors import CheckpointRefused, ImagesDoNotFit
from dlkd_core.spec import Normalization
from dlkd_core.teachers.loading import LoadedTeacher, inspect_teacher, load_teacher_file
from dlkd_core.teachers.normalization import identity_normalization

CPU = torch.device("cpu")
CLASSES = 4
Save = Callable[..., Path]
Nodes = list[onnx.NodeProto]

IMAGES = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def network_nodes() -> Nodes:
    return [
        helper.make_node("Conv", ["image", "w1"], ["one"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["one"], ["map"]),
        helper.make_node("GlobalAveragePool", ["map"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["embedding"]),
        helper.make_node("MatMul", ["embedding", "w2"], ["logits"]),
    ]


def build_model(  # noqa: PLR0913 - the parts of a graph
    extra_nodes: Nodes = (),
    outputs: dict[str, list[Any]] | None = None,
    *,
    inputs: dict[str, list[Any]] | None = None,
    nodes: Nodes | None = None,
    dtype: int = TensorProto.FLOAT,
    image_dtype: int | None = None,
    classes: int = CLASSES,
) -> onnx.ModelProto:
    """Build a convolution and a classifier, with further nodes at the end."""
    random = np.random.default_rng(0)
    kind = np.float16 if dtype == TensorProto.FLOAT16 else np.float32
    weights = {"w1": (5, 3, 3, 3), "w2": (5, classes)}
    constants = [
        numpy_helper.from_array(random.normal(size=shape).astype(kind), name)
        for name, shape in weights.items()
    ]
    image_dtype = dtype if image_dtype is None else image_dtype
    graph = helper.make_graph(
        [*(nodes or network_nodes()), *extra_nodes],
        "net",
        [
            helper.make_tensor_value_info(name, image_dtype, shape)
            for name, shape in (inputs or {"image": ["batch", 3, 8, 8]}).items()
        ],
        [
            helper.make_tensor_value_info(name, dtype, shape)
            for name, shape in (outputs or {"logits": ["batch", classes]}).items()
        ],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def save(model: onnx.ModelProto, name: str = "teacher.onnx", **options: Any) -> Path:
        onnx.save(model, tmp_path / name, **options)
        return tmp_path / name

    return save


@pytest.fixture
def expected(save: Save) -> torch.Tensor:
    """The logits of the network as PyTorch exports it."""
    return logits_of(load_teacher_file(save(build_model(), "plain.onnx")))


def logits_of(loaded: LoadedTeacher, images: torch.Tensor = IMAGES) -> torch.Tensor:
    normalization = identity_normalization(loaded.channels)
    outputs = loaded.source.build_extractor(normalization, CPU)(images)
    assert outputs.features.shape == (len(images), 5)
    return outputs.logits


@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax", "Sigmoid"])
def test_an_activation_at_the_end_is_stepped_over(
    operator: str, save: Save, expected: torch.Tensor
) -> None:
    end = [helper.make_node(operator, ["logits"], ["scores"])]
    loaded = load_teacher_file(save(build_model(end, {"scores": ["batch", CLASSES]})))
    torch.testing.assert_close(logits_of(loaded), expected)
    assert loaded.notices == (
        f"The graph ends with {operator}. The teacher uses the input of this layer as its logits.",
    )


def test_an_activation_before_a_reshape_is_stepped_over(save: Save, expected: torch.Tensor) -> None:
    end = [
        helper.make_node("Softmax", ["logits"], ["soft"], axis=1),
        helper.make_node("Identity", ["soft"], ["scores"]),
    ]
    loaded = load_teacher_file(save(build_model(end, {"scores": ["batch", CLASSES]})))
    torch.testing.assert_close(logits_of(loaded), expected)


def test_probabilities_of_an_unknown_layer_become_logits(
    save: Save, expected: torch.Tensor
) -> None:
    axes = numpy_helper.from_array(np.array([1]), "axes")
    end = [
        helper.make_node("Exp", ["logits"], ["powers"]),
        helper.make_node("ReduceSum", ["powers", "axes"], ["sum"], keepdims=1),
        helper.make_node("Div", ["powers", "sum"], ["scores"]),
    ]
    model = build_model(end, {"scores": ["batch", CLASSES]})
    model.graph.initializer.append(axes)
    loaded = load_teacher_file(save(model))
    torch.testing.assert_close(logits_of(loaded), expected.log_softmax(dim=1))
    assert "computes probabilities" in loaded.notices[0]


def test_one_output_per_image_is_the_logit_of_the_second_class(save: Save) -> None:
    end = [helper.make_node("Sigmoid", ["logits"], ["probability"])]
    model = build_model(end, {"probability": ["batch", 1]}, classes=1)
    loaded = load_teacher_file(save(model))
    logits = logits_of(loaded)
    plain = load_teacher_file(save(build_model(classes=1), "plain.onnx"))
    assert (loaded.num_classes, logits.shape, logits[:, 0].tolist()) == (2, (5, 2), [0.0] * 5)
    torch.testing.assert_close(logits, logits_of(plain))
    assert any("logit of the second class" in notice for notice in loaded.notices)


def test_the_output_called_logits_is_used(save: Save, expected: torch.Tensor) -> None:
    model = build_model(outputs={"embedding": ["batch", 5], "logits": ["batch", CLASSES]})
    loaded = load_teacher_file(save(model))
    torch.testing.assert_close(logits_of(loaded), expected)
    assert loaded.notices == (
        "Of the graph's outputs (embedding, logits), the teacher uses logits.",
    )


def test_an_output_that_is_computed_from_the_others_is_the_logits(save: Save) -> None:
    nodes = [
        *network_nodes()[:-1],
        helper.make_node("MatMul", ["embedding", "w2"], ["scores"]),
    ]
    outputs = {"scores": ["batch", CLASSES], "embedding": ["batch", 5]}
    loaded = load_teacher_file(save(build_model(nodes=nodes, outputs=outputs)))
    assert loaded.num_classes == CLASSES


def test_unclear_outputs_are_listed_and_can_be_named(save: Save, expected: torch.Tensor) -> None:
    end = [
        helper.make_node("Relu", ["logits"], ["first"]),
        helper.make_node("MatMul", ["embedding", "w3"], ["second"]),
    ]
    model = build_model(end, {"first": ["batch", CLASSES], "second": ["batch", 2]})
    model.graph.initializer.append(numpy_helper.from_array(np.ones((5, 2), dtype=np.float32), "w3"))
    path = save(model)
    with pytest.raises(CheckpointRefused, match=r"first \[2, 4\], second \[2, 2\]") as refusal:
        load_teacher_file(path)
    assert "field output" in refusal.value.hint
    report = inspect_teacher(path, output="first")
    assert (report["num_classes"], report["options"]) == (CLASSES, {"output": "first"})
    torch.testing.assert_close(
        logits_of(load_teacher_file(path, options=report["options"])), expected.relu()
    )
    with pytest.raises(CheckpointRefused, match="no output 'third'"):
        inspect_teacher(path, output="third")


def test_a_graph_in_half_precision_runs(save: Save, expected: torch.Tensor) -> None:
    loaded = load_teacher_file(save(build_model(dtype=TensorProto.FLOAT16)))
    logits = logits_of(loaded)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, expected, atol=0.02, rtol=0.02)


def test_a_graph_that_takes_bytes_gets_them_without_normalization(
    save: Save, expected: torch.Tensor
) -> None:
    start = [
        helper.make_node("Cast", ["bytes"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["float", "scale"], ["image"]),
    ]
    model = build_model(
        nodes=[*start, *network_nodes()],
        inputs={"bytes": ["batch", 3, 8, 8]},
        image_dtype=TensorProto.UINT8,
    )
    model.graph.initializer.append(numpy_helper.from_array(np.float32(255), "scale"))
    loaded = load_teacher_file(save(model))
    halves = Normalization(mean=(0.5,) * 3, std=(0.5,) * 3)
    logits = loaded.source.build_extractor(halves, CPU).logits((IMAGES * 255).round() / 255)
    torch.testing.assert_close(logits, expected, atol=0.02, rtol=0.02)
    assert loaded.takes_bytes


def test_a_graph_with_the_channels_last_gets_transposed_images(
    save: Save, expected: torch.Tensor
) -> None:
    start = [helper.make_node("Transpose", ["last"], ["image"], perm=[0, 3, 1, 2])]
    model = build_model(nodes=[*start, *network_nodes()], inputs={"last": ["batch", 8, 8, 3]})
    torch.testing.assert_close(logits_of(load_teacher_file(save(model))), expected)


def test_a_graph_with_only_symbolic_dimensions_runs(save: Save, expected: torch.Tensor) -> None:
    symbolic = {"image": ["batch", "num_channels", "height", "width"]}
    loaded = load_teacher_file(save(build_model(inputs=symbolic)))
    torch.testing.assert_close(logits_of(loaded), expected)
    outputs = loaded.source.build_extractor(identity_normalization(3), CPU)(IMAGES)
    assert [part.shape for part in outputs.feature_maps] == [(5, 5, 8, 8)]


def test_weights_in_another_file_are_read_from_an_archive(
    save: Save, expected: torch.Tensor, tmp_path: Path
) -> None:
    path = save(
        build_model(), save_as_external_data=True, location="weights.data", size_threshold=0
    )
    with pytest.raises(CheckpointRefused, match="another file") as refusal:
        load_teacher_file(path)
    assert "zip archive" in refusal.value.hint
    archive = tmp_path / "teacher.zip"
    with ZipFile(archive, "w") as file:
        file.write(path, "export/teacher.onnx")
        file.write(tmp_path / "weights.data", "export/weights.data")
    loaded = load_teacher_file(archive)
    assert loaded.format == "onnx"
    torch.testing.assert_close(logits_of(loaded), expected)
    with ZipFile(archive, "w") as file:
        file.write(path, "teacher.onnx")
    with pytest.raises(CheckpointRefused, match=r"weights of teacher\.onnx cannot be read"):
        load_teacher_file(archive)


class _Images(CalibrationDataReader):
    def __init__(self) -> None:
        self.batches = iter([{"image": IMAGES.numpy()}])

    def get_next(self) -> dict[str, Any] | None:
        return next(self.batches, None)


@pytest.mark.parametrize("form", [QuantFormat.QDQ, QuantFormat.QOperator])
def test_a_quantized_graph_runs_with_features_as_floats(
    form: QuantFormat, save: Save, expected: torch.Tensor, tmp_path: Path
) -> None:
    quantized = tmp_path / "quantized.onnx"
    quantize_static(save(build_model()), quantized, _Images(), quant_format=form)
    loaded = load_teacher_file(quantized)
    torch.testing.assert_close(logits_of(loaded), expected, atol=0.2, rtol=0.1)
    plain = load_teacher_file(save(build_model(), "plain.onnx"))
    features = [
        teacher.source.build_extractor(identity_normalization(3), CPU)(IMAGES).features
        for teacher in (loaded, plain)
    ]
    torch.testing.assert_close(*features, atol=0.05, rtol=0.1)


def test_a_second_input_is_refused_by_name(save: Save) -> None:
    nodes = [*network_nodes()[:-1], helper.make_node("MatMul", ["embedding", "w2"], ["raw"])]
    end = [helper.make_node("Div", ["raw", "temperature"], ["logits"])]
    model = build_model(end, nodes=nodes, inputs={"image": ["batch", 3, 8, 8], "temperature": [1]})
    with pytest.raises(CheckpointRefused, match="2 inputs: image, temperature"):
        load_teacher_file(save(model))


def test_an_operator_that_onnxruntime_lacks_is_refused_at_once(save: Save) -> None:
    model = build_model(
        [helper.make_node("Sharpen", ["logits"], ["scores"], domain="org.example")],
        {"scores": ["batch", CLASSES]},
    )
    model.opset_import.append(helper.make_opsetid("org.example", 1))
    with pytest.raises(CheckpointRefused, match="onnxruntime cannot load the ONNX graph"):
        load_teacher_file(save(model))


def test_a_graph_that_computes_nan_is_refused(save: Save) -> None:
    end = [helper.make_node("Sqrt", ["negative"], ["logits2"])]
    start = [helper.make_node("Sub", ["logits", "large"], ["negative"])]
    model = build_model([*start, *end], {"logits2": ["batch", CLASSES]})
    model.graph.initializer.append(numpy_helper.from_array(np.float32(1e6), "large"))
    with pytest.raises(CheckpointRefused, match="NaN or infinite values in logits2"):
        load_teacher_file(save(model))


def test_a_size_with_which_the_graph_does_not_run_is_an_error_that_says_so(save: Save) -> None:
    nodes = [
        *network_nodes()[:2],
        helper.make_node("Reshape", ["map", "shape"], ["fixed"]),
        helper.make_node("GlobalAveragePool", ["fixed"], ["pooled"]),
        *network_nodes()[3:],
    ]
    model = build_model(nodes=nodes, inputs={"image": ["batch", 3, "height", "width"]})
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1, 5, 32, 32]), "shape"))
    loaded = load_teacher_file(save(model))  # the check finds that it runs with 32 pixels
    extractor = loaded.source.build_extractor(identity_normalization(3), CPU)
    assert extractor.logits(torch.rand(2, 3, 32, 32)).shape == (2, CLASSES)
    with pytest.raises(ImagesDoNotFit, match="does not run on images of 24 x 24 pixels"):
        extractor.logits(torch.rand(3, 3, 24, 24))


def test_metadata_may_name_the_classes(tmp_path: Path) -> None:
    model = build_model()
    helper.set_model_props(model, {"names": "{0: 'cat', 1: 'dog', 2: 'owl', 3: 'fox'}"})
    onnx.save(model, tmp_path / "teacher.onnx")
    loaded = load_teacher_file(tmp_path / "teacher.onnx")
    assert loaded.class_names == ("cat", "dog", "owl", "fox")
