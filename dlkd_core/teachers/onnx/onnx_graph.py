"""Finds the image input, logits, features and feature maps of an ONNX graph."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, shape_inference

from dlkd_core.errors import CheckpointRefused, CheckpointUnreadable
from dlkd_core.models.network import TensorLayout
from dlkd_core.teachers.onnx.onnx_file import read_onnx_model
from dlkd_core.teachers.onnx.onnx_limits import check_node_count
from dlkd_core.teachers.onnx.onnx_outputs import choose_output
from dlkd_core.teachers.reading.declared_classes import find_class_names

# Operators that can be a classifier, also after quantization and in graphs that onnxruntime saved
_QUANTIZED_OPS = frozenset({"QLinearConv", "QLinearMatMul", "QGemm"})
_WEIGHTED_OPS = _QUANTIZED_OPS | {
    *("Gemm", "MatMul", "Conv", "MatMulInteger", "ConvInteger"),
    *("FusedConv", "FusedGemm", "FusedMatMul"),
}
_ACTIVATIONS = frozenset({"Softmax", "LogSoftmax", "Sigmoid", "QLinearSoftmax", "QLinearSigmoid"})
# Operators that may follow the activation. They change no values.
_PASSIVE_OPS = frozenset(
    {"Identity", "Cast", "Flatten", "Reshape", "Squeeze", "QuantizeLinear", "DequantizeLinear"}
)
# Types of the image input, and what the images are converted to
_IMAGE_TYPES: dict[int, np.dtype[Any]] = {
    TensorProto.FLOAT: np.dtype(np.float32),
    TensorProto.FLOAT16: np.dtype(np.float16),
    TensorProto.DOUBLE: np.dtype(np.float64),
    TensorProto.UINT8: np.dtype(np.uint8),
}
_FLOAT_TYPES = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE})
_COMMON_CHANNELS = (3, 1, 4)
_MAX_CHANNELS = 64  # a dimension of at most this size can be the channels
_MIN_MAP_CHANNELS = 4
MAX_IMAGE_SIDE = 4096  # maximum size of each dimension of the image input

Shape = tuple[int | None, ...]  # If None, the dimension is dynamic.


class ImageInput(NamedTuple):
    """The image input of a graph.

    Attributes:
        name: Name of the input.
        shape: Its four dimensions. A dynamic dimension is None.
        dtype: float16, float32, float64 or uint8.
    """

    name: str
    shape: Shape
    dtype: np.dtype[Any]


class ImageFormat(NamedTuple):
    """Where the channels of the image input are, and how many."""

    layout: TensorLayout
    channels: int


@dataclass(frozen=True)
class OnnxGraph:
    """An ONNX graph and the names of the tensors that a teacher uses.

    Attributes:
        model: The model. Once `expose_outputs` has been called, its outputs include the logits,
            features and feature maps.
        image: The image input.
        format: Layout and number of channels of the images.
        logits: Name of the logits, or of the probabilities if `has_probabilities` is set.
        features: Name of the features, which are the input of the classifier.
        maps: Names of the last feature map of each size, shallow to deep.
        num_outputs: Number of logits per image. A graph with one has two classes.
        has_probabilities: Whether the graph computes probabilities without a known activation.
        notices: Messages for the user.
    """

    model: onnx.ModelProto
    image: ImageInput
    format: ImageFormat
    logits: str
    features: str
    maps: tuple[str, ...] = ()
    num_outputs: int = 0
    has_probabilities: bool = False
    notices: tuple[str, ...] = ()

    @property
    def image_size(self) -> tuple[int | None, int | None]:
        """Fixed height and width of the input, or None if they are dynamic."""
        sides = self.image.shape[2:] if self.format.layout == "NCHW" else self.image.shape[1:3]
        return sides[0], sides[1]

    @property
    def batch_size(self) -> int | None:
        """Fixed batch size of the input, or None if it is dynamic."""
        return self.image.shape[0]

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return 2 if self.num_outputs == 1 else self.num_outputs

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the metadata, or nothing if there are none."""
        return find_class_names({entry.key: entry.value for entry in self.model.metadata_props})

    @property
    def names(self) -> list[str]:
        """Names of the logits, the features and the feature maps."""
        return [self.logits, self.features, *self.maps]

    @property
    def parameters(self) -> int:
        """Number of parameters. Shapes and indices, which have 64 bits, do not count."""
        return sum(
            prod(tensor.dims)
            for tensor in self.model.graph.initializer
            if tensor.data_type != TensorProto.INT64
        )


def load_valid_model(path: Path) -> onnx.ModelProto:
    """Read a model from a file and check that it follows the ONNX specification.

    Raises:
        CheckpointUnreadable: The file is not a valid ONNX model.
        CheckpointRefused: Its weights are in a file that is not there, or it has too many nodes.
    """
    model = read_onnx_model(path)
    check_node_count(model)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        first_line = str(error).partition("\n")[0]
        raise CheckpointUnreadable(f"The ONNX model is not valid: {first_line}.") from error
    return model


def find_image_input(model: onnx.ModelProto) -> ImageInput:
    """Return the only input of the graph that has no value.

    Raises:
        CheckpointRefused: There are several inputs, or the input cannot be a batch of images.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs) or "none"
        raise refusal_error(
            "one input, which takes images", f"It has {len(inputs)} inputs: {names}"
        )
    (value,) = inputs
    shape = _value_shape(value)
    if len(shape) != 4:
        raise refusal_error(
            "an input with four dimensions (batch, channels, height, width)",
            f"Its input {value.name} has the dimensions {list(shape)}",
        )
    if any(side is not None and not 0 < side <= MAX_IMAGE_SIDE for side in shape):
        raise refusal_error(
            f"dimensions from 1 to {MAX_IMAGE_SIDE}",
            f"Its input {value.name} has the dimensions {list(shape)}",
        )
    element_type = value.type.tensor_type.elem_type
    if element_type not in _IMAGE_TYPES:
        raise refusal_error(
            "an input of type float32, float16, float64 or uint8",
            f"Its input {value.name} has the type {_type_name(element_type)}",
        )
    return ImageInput(value.name, shape, _IMAGE_TYPES[element_type])


def possible_formats(image: ImageInput) -> list[ImageFormat]:
    """Return the layouts and channel counts that the input's dimensions allow, likely ones first.

    There is only one, unless both dimensions that can hold the channels are dynamic.
    """
    first, last = image.shape[1], image.shape[3]
    if first in _COMMON_CHANNELS:
        return [ImageFormat("NCHW", first)]
    if last in _COMMON_CHANNELS:
        return [ImageFormat("NHWC", last)]
    if first is not None and first <= _MAX_CHANNELS:
        return [ImageFormat("NCHW", first)]
    if last is not None and last <= _MAX_CHANNELS:
        return [ImageFormat("NHWC", last)]
    layouts: list[TensorLayout] = []
    if first is None:
        layouts.append("NCHW")
    if last is None:
        layouts.append("NHWC")
    return [ImageFormat(layout, count) for layout in layouts for count in _COMMON_CHANNELS]


def analyze_graph(
    model: onnx.ModelProto,
    image: ImageInput,
    image_format: ImageFormat,
    outputs: dict[str, tuple[int, ...]],
    *,
    features: str | None = None,
    output: str | None = None,
) -> OnnxGraph:
    """Find the logits, features and feature maps of a graph that was run once.

    Args:
        model: The graph.
        image: Its image input.
        image_format: The layout and number of channels with which it was run.
        outputs: Shape of each floating-point output in that run.
        features: Name of the feature tensor. Default: the input of the last layer with weights.
        output: Name of the output with the logits. Default: detected.

    Raises:
        CheckpointRefused: No output can be the logits, it is unclear which one is, no layer can be
            the classifier, or no tensor has the name in `features`.
    """
    producers = _find_producers(model)
    chosen = choose_output(model, outputs, output)
    notices = list(chosen.notices)
    logits = chosen.name
    activation = _find_activation(producers, logits)
    if activation is not None:
        logits = activation.input[0]
        notices.append(
            f"The graph ends with {activation.op_type}. The teacher uses the input of this layer as"
            " its logits."
        )
    if chosen.count == 1:
        notices.append(
            "The graph has one output per image. It is taken as the logit of the second class."
        )
    if image.dtype == np.uint8:
        notices.append("The graph takes bytes (uint8), so no normalization is applied.")
    return OnnxGraph(
        model=model,
        image=image,
        format=image_format,
        logits=logits,
        features=_find_features(producers, logits, features),
        num_outputs=chosen.count,
        notices=tuple(notices),
    )


def add_feature_maps(graph: OnnxGraph, shape: Sequence[int]) -> OnnxGraph:
    """Return the graph with the names of its feature maps for images of this shape.

    If the shapes in the graph cannot be inferred, there are no feature maps.
    """
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    (value,) = (value for value in model.graph.input if value.name == graph.image.name)
    for dimension, size in zip(value.type.tensor_type.shape.dim, shape, strict=True):
        dimension.Clear()
        dimension.dim_value = size
    del model.graph.value_info[:]  # may state other shapes
    try:
        inferred = shape_inference.infer_shapes(model, strict_mode=False, data_prop=True)
    except shape_inference.InferenceError:
        return graph
    return replace(graph, maps=_find_maps(inferred, graph))


def expose_outputs(graph: OnnxGraph) -> OnnxGraph:
    """Add the logits, features and feature maps to the outputs of the graph's model.

    The model is changed in place, because a copy would take as much memory as its weights.
    Quantized features are converted to floats.
    """
    model = graph.model
    producers = _find_producers(model)
    consumers = (
        node
        for node in model.graph.node
        if node.op_type in _QUANTIZED_OPS and _first_input(node) == graph.features
    )
    consumer = next(consumers, None)
    features = graph.features
    if consumer is not None and features in producers:
        features = f"{graph.features}_dequantized"
        model.graph.node.append(
            helper.make_node("DequantizeLinear", list(consumer.input[:3]), [features])
        )
    present = {value.name for value in model.graph.output}
    exposed = replace(graph, features=features)
    model.graph.output.extend(
        helper.make_empty_tensor_value_info(name)
        for name in dict.fromkeys(exposed.names)
        if name not in present
    )
    return exposed


def refusal_error(requirement: str, found: str) -> CheckpointRefused:
    """Return the error for a graph that is not an image classifier."""
    return CheckpointRefused(
        f"The ONNX graph cannot be used as an image classifier. It must have {requirement}."
        f" {found}.",
        hint="Export the network with a batch of images as its only input and the logits as an"
        " output.",
    )


_Producers = dict[str, onnx.NodeProto]


def _find_producers(model: onnx.ModelProto) -> _Producers:
    return {output: node for node in model.graph.node for output in node.output if output}


def _find_activation(producers: _Producers, output: str) -> onnx.NodeProto | None:
    """Return the softmax or sigmoid at the end of the graph, or None."""
    node = producers.get(output)
    while node is not None and node.op_type in _PASSIVE_OPS and node.input:
        node = producers.get(node.input[0])
    if node is None or node.op_type not in _ACTIVATIONS or _first_input(node) not in producers:
        return None
    return node


def _find_features(producers: _Producers, logits: str, requested: str | None) -> str:
    """Return the name of the feature tensor.

    This is `requested` or, by default, the input of the last layer with weights.
    """
    if requested is not None:
        if requested not in producers:
            raise CheckpointRefused(
                f"The ONNX graph has no tensor {requested!r}.",
                hint="Omit teacher.features or name another tensor.",
            )
        return requested
    node = producers.get(logits)
    while node is not None and node.op_type not in _WEIGHTED_OPS:
        node = next(_computed_inputs(node, producers), None)
    if node is None or _first_input(node) not in producers:
        raise refusal_error(
            "a classifier after other layers", f"No layer with weights computes {logits}"
        )
    return str(node.input[0])


def _first_input(node: onnx.NodeProto) -> str:
    """Return the name of a node's first input, or an empty text if it has none."""
    return node.input[0] if node.input else ""


def _computed_inputs(node: onnx.NodeProto, producers: _Producers) -> Iterator[onnx.NodeProto]:
    """Iterate over the nodes that compute a node's inputs. Constants are not computed."""
    for name in node.input:
        producer = producers.get(name)
        if producer is not None and producer.op_type != "Constant":
            yield producer


def _find_maps(model: onnx.ModelProto, graph: OnnxGraph) -> tuple[str, ...]:
    """Return the last floating-point feature map of each size."""
    values = {value.name: value for value in model.graph.value_info}
    last_of_size: dict[tuple[int, int], str] = {}
    for name in _ordered_outputs(graph.model.graph.node):
        value = values.get(name)
        if value is None or value.type.tensor_type.elem_type not in _FLOAT_TYPES:
            continue
        shape = _value_shape(value)
        if len(shape) == 4 and all(shape):
            _, channels, height, width = (side or 0 for side in shape)
            if channels >= _MIN_MAP_CHANNELS and height * width > 1:
                last_of_size[height, width] = name
    return tuple(last_of_size.values())


def _ordered_outputs(nodes: Iterable[onnx.NodeProto]) -> Iterator[str]:
    """Iterate over the first outputs of all nodes. Transposed maps have other dimensions."""
    return (node.output[0] for node in nodes if node.output and node.op_type != "Transpose")


def _value_shape(value: onnx.ValueInfoProto) -> Shape:
    return tuple(dim.dim_value or None for dim in value.type.tensor_type.shape.dim)


def _type_name(element_type: int) -> str:
    names = {number: name.lower() for name, number in TensorProto.DataType.items()}
    return str(names.get(element_type, f"number {element_type}"))
