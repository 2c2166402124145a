"""What an ONNX graph is: its image input, its logits, the features before its classifier, and maps on the way."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import shape_inference

from dlkd_core.errors import CheckpointRefused, CheckpointUnreadable

_WEIGHTED = frozenset({"Gemm", "MatMul", "Conv"})  # what a classifier can be

Shape = tuple[int | None, ...]  # None: dynamic


@dataclass(frozen=True)
class OnnxGraph:
    """Names and shapes of the tensors that a teacher shows. `model` has features and maps among its outputs."""

    model: onnx.ModelProto
    image: str
    logits: str
    features: str
    maps: tuple[str, ...]  # the last of each size, shallow to deep
    size: tuple[int | None, int | None]  # height and width that the graph insists on
    batch: int | None  # as above
    num_classes: int
    parameters: int


def read_graph(path: Path, features: str | None = None) -> OnnxGraph:
    """The graph in a file; `features` names the tensor where the input of the last weighted layer is not meant.

    Raises:
        CheckpointUnreadable: no ONNX model, or damaged.
        CheckpointRefused: weights outside the file, no image input, no logits, or no tensor of the name in `features`.
    """
    model = _inferred(_read(path))
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    images = [value for value in graph.input if value.name not in constants and _is_images(_shape(value))]
    logits = [value for value in graph.output if len(_shape(value)) == 2]
    if len(images) != 1 or not logits or not _shape(logits[0])[1]:
        raise _refused("one input of RGB images (batch, 3, H, W) and an output (batch, classes)")
    shapes = {value.name: _shape(value) for value in graph.value_info}
    found = _features(model, logits[0].name, features)
    maps = _maps(model, shapes)
    _show(model, [found, *maps])
    batch, _, height, width = _shape(images[0])
    return OnnxGraph(
        model=model,
        image=images[0].name,
        logits=logits[0].name,
        features=found,
        maps=maps,
        size=(height, width),
        batch=batch,
        num_classes=_shape(logits[0])[1] or 0,
        parameters=sum(prod(tensor.dims) for tensor in graph.initializer if tensor.data_type != onnx.TensorProto.INT64),
    )


def _read(path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, OSError, ValueError) as error:
        raise CheckpointUnreadable("The file begins like an ONNX model and cannot be read to its end.") from error
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise CheckpointRefused(
            "The ONNX model keeps its weights in another file.", hint="Save it as one file: onnx.save(onnx.load(...), path)."
        )
    return model


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        onnx.checker.check_model(model)
        return shape_inference.infer_shapes(model, strict_mode=False)
    except (onnx.checker.ValidationError, shape_inference.InferenceError) as error:
        raise CheckpointUnreadable(f"The ONNX model is not valid: {str(error).partition(chr(10))[0]}.") from error


def _shape(value: onnx.ValueInfoProto) -> Shape:
    return tuple(dim.dim_value or None for dim in value.type.tensor_type.shape.dim)


def _is_images(shape: Shape) -> bool:
    return len(shape) == 4 and shape[1] == 3


def _features(model: onnx.ModelProto, logits: str, named: str | None) -> str:
    """The input of the last layer with weights on the way back from the logits."""
    makers = {output: node for node in model.graph.node for output in node.output}
    if named is not None:
        if named not in makers:
            raise CheckpointRefused(
                f"The ONNX graph has no tensor {named!r}.", hint="Leave teacher.features out, or name another."
            )
        return named
    node = makers.get(logits)
    while node is not None and node.op_type not in _WEIGHTED:
        node = makers.get(node.input[0])
    if node is None or node.input[0] not in makers:
        raise _refused("a classifier behind other layers")
    return str(node.input[0])


def _maps(model: onnx.ModelProto, shapes: dict[str, Shape]) -> tuple[str, ...]:
    last: dict[tuple[int, int], str] = {}
    for node in model.graph.node:
        shape = shapes.get(node.output[0], ())
        if len(shape) == 4:
            _, channels, height, width = shape
            if channels and channels > 3 and height and width and height * width > 1:
                last[height, width] = node.output[0]
    return tuple(last.values())


def _show(model: onnx.ModelProto, names: Iterable[str]) -> None:
    present = {value.name for value in model.graph.output}
    kinds = {value.name: value for value in model.graph.value_info}
    for name in dict.fromkeys(names):
        if name not in present:
            model.graph.output.append(kinds.get(name) or onnx.helper.make_empty_tensor_value_info(name))


def _refused(wanted: str) -> CheckpointRefused:
    return CheckpointRefused(
        f"The ONNX graph is no image classifier that can teach: it must have {wanted}.",
        hint="Export the network with its logits as the first output, float images as input.",
    )
