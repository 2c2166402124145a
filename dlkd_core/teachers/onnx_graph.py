"""Finds the image input, logits, features and feature maps of an ONNX graph."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import shape_inference

from dlkd_core.errors import CheckpointRefused, CheckpointUnreadable

_WEIGHTED_OPS = frozenset({"Gemm", "MatMul", "Conv"})  # operators that can be a classifier

Shape = tuple[int | None, ...]  # If None, the dimension is dynamic.


@dataclass(frozen=True)
class OnnxGraph:
    """An ONNX graph and the names of the tensors that a teacher uses.

    Attributes:
        model: The model, with the features and feature maps added to its outputs.
        image: Name of the image input.
        logits: Name of the logits.
        features: Name of the features, which are the input of the classifier.
        maps: Names of the last feature map of each size, shallow to deep.
        image_size: Fixed height and width of the input, or None if they are dynamic.
        batch_size: Fixed batch size of the input, or None if it is dynamic.
        num_classes: Number of classes.
        parameters: Number of parameters.
    """

    model: onnx.ModelProto
    image: str
    logits: str
    features: str
    maps: tuple[str, ...]
    image_size: tuple[int | None, int | None]
    batch_size: int | None
    num_classes: int
    parameters: int


def read_graph(path: Path, features: str | None = None) -> OnnxGraph:
    """Read and analyze the graph in a file.

    `features` names the feature tensor. By default it is the input of the last layer
    with weights.

    Raises:
        CheckpointUnreadable: The file is not an ONNX model or is damaged.
        CheckpointRefused: The weights are in another file, there is no image input or no logits,
            or no tensor has the name in `features`.
    """
    model = _infer_shapes(_load_model(path))
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    images = [
        value for value in graph.input if value.name not in constants and _is_image(_shape(value))
    ]
    logits = [value for value in graph.output if len(_shape(value)) == 2]
    if len(images) != 1 or not logits or not _shape(logits[0])[1]:
        raise _refusal_error(
            "one input of RGB images (batch, 3, H, W) and an output (batch, classes)"
        )
    shapes = {value.name: _shape(value) for value in graph.value_info}
    features_name = _find_features(model, logits[0].name, features)
    maps = _find_maps(model, shapes)
    _expose_outputs(model, [features_name, *maps])
    batch, _, height, width = _shape(images[0])
    return OnnxGraph(
        model=model,
        image=images[0].name,
        logits=logits[0].name,
        features=features_name,
        maps=maps,
        image_size=(height, width),
        batch_size=batch,
        num_classes=_shape(logits[0])[1] or 0,
        parameters=sum(
            prod(tensor.dims)
            for tensor in graph.initializer
            if tensor.data_type != onnx.TensorProto.INT64
        ),
    )


def _load_model(path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, OSError, ValueError) as error:
        raise CheckpointUnreadable(
            "The file starts like an ONNX model but cannot be read to the end."
        ) from error
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise CheckpointRefused(
            "The ONNX model keeps its weights in another file, which is not supported.",
            hint="Save the model as a single file: onnx.save(onnx.load(...), path).",
        )
    return model


def _infer_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        onnx.checker.check_model(model)
        return shape_inference.infer_shapes(model, strict_mode=False)
    except (onnx.checker.ValidationError, shape_inference.InferenceError) as error:
        first_line = str(error).partition("\n")[0]
        raise CheckpointUnreadable(f"The ONNX model is not valid: {first_line}.") from error


def _shape(value: onnx.ValueInfoProto) -> Shape:
    return tuple(dim.dim_value or None for dim in value.type.tensor_type.shape.dim)


def _is_image(shape: Shape) -> bool:
    return len(shape) == 4 and shape[1] == 3


def _find_features(model: onnx.ModelProto, logits: str, requested: str | None) -> str:
    """Return the name of the feature tensor.

    This is `requested` or, by default, the input of the last layer with weights.
    """
    producers = {output: node for node in model.graph.node for output in node.output}
    if requested is not None:
        if requested not in producers:
            raise CheckpointRefused(
                f"The ONNX graph has no tensor {requested!r}.",
                hint="Omit teacher.features or name another tensor.",
            )
        return requested
    node = producers.get(logits)
    while node is not None and node.op_type not in _WEIGHTED_OPS:
        node = producers.get(node.input[0])
    if node is None or node.input[0] not in producers:
        raise _refusal_error("a classifier after other layers")
    return str(node.input[0])


def _find_maps(model: onnx.ModelProto, shapes: dict[str, Shape]) -> tuple[str, ...]:
    last_of_size: dict[tuple[int, int], str] = {}
    for node in model.graph.node:
        shape = shapes.get(node.output[0], ())
        if len(shape) == 4:
            _, channels, height, width = shape
            if channels and channels > 3 and height and width and height * width > 1:
                last_of_size[height, width] = node.output[0]
    return tuple(last_of_size.values())


def _expose_outputs(model: onnx.ModelProto, names: Iterable[str]) -> None:
    present = {value.name for value in model.graph.output}
    value_infos = {value.name: value for value in model.graph.value_info}
    for name in dict.fromkeys(names):
        if name not in present:
            model.graph.output.append(
                value_infos.get(name) or onnx.helper.make_empty_tensor_value_info(name)
            )


def _refusal_error(requirement: str) -> CheckpointRefused:
    return CheckpointRefused(
        f"The ONNX graph cannot be used as an image classifier. It must have {requirement}.",
        hint="Export the network with float images as input and the logits as the first output.",
    )
