"""Reads an ONNX file as a teacher's graph and runs it once.

What the file leaves open, such as the number of channels of a graph with dynamic dimensions, is
found by running the graph.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch

from dlkd_core.errors import CheckpointRefused
from dlkd_core.teachers.onnx.onnx_graph import (
    ImageFormat,
    ImageInput,
    OnnxGraph,
    add_feature_maps,
    analyze_graph,
    expose_outputs,
    find_image_input,
    load_valid_model,
    possible_formats,
)
from dlkd_core.teachers.onnx.onnx_session import (
    CHECK_SECONDS,
    Arrays,
    GraphFailed,
    create_session,
    run_session,
)

_CPU = torch.device("cpu")
_BATCH_SIZE = 2  # for graphs with a dynamic batch size
# Image sides to try for graphs with dynamic dimensions, the most common ones first
_SIDES = (224, 32, 64, 28, 96, 128, 256, 299, 384)
_SUM_TOLERANCE = 1e-3


def read_graph(path: Path, features: str | None = None, output: str | None = None) -> OnnxGraph:
    """Read and analyze the graph in a file, and run it once.

    Args:
        path: An ONNX file, or a zip archive of an ONNX file with its weights.
        features: Name of the feature tensor. Default: the input of the last layer with weights.
        output: Name of the output with the logits. Default: detected.

    Raises:
        CheckpointUnreadable: The file is not an ONNX model or is damaged.
        CheckpointRefused: The weights are in another file, the graph is not an image classifier,
            onnxruntime cannot run it, or it has no tensor called `features` or `output`.
    """
    model = load_valid_model(path)
    image = find_image_input(model)
    try:
        session = create_session(model, _CPU)
    except GraphFailed as error:
        raise CheckpointRefused(
            f"onnxruntime cannot load the ONNX graph: {error}.",
            hint="Export the network with the operators and the opset that onnxruntime supports.",
        ) from error
    names = [value.name for value in session.get_outputs() if "float" in value.type]
    image_format, batch, arrays = _run_first(session, image, names)
    shapes = {name: array.shape for name, array in zip(names, arrays, strict=True)}
    per_image = {name: shape for name, shape in shapes.items() if shape[:1] == batch.shape[:1]}
    graph = analyze_graph(model, image, image_format, per_image, features=features, output=output)
    graph = expose_outputs(add_feature_maps(graph, batch.shape))
    return _check_outputs(graph, batch)


def image_batch(
    image: ImageInput, image_format: ImageFormat, sides: tuple[int, int], count: int
) -> npt.NDArray[np.generic]:
    """Return `count` random images, as the graph takes them."""
    shape = (count, image_format.channels, *sides)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return convert_images(pixels.astype(np.float32) / np.float32(255), image, image_format)


def convert_images(
    images: npt.NDArray[np.float32], image: ImageInput, image_format: ImageFormat
) -> npt.NDArray[np.generic]:
    """Convert images (N, C, H, W) to the layout and type that the graph takes.

    Bytes are made from images in [0, 1].
    """
    if image_format.layout == "NHWC":
        images = images.transpose(0, 2, 3, 1)
    if image.dtype == np.uint8:
        images = (images * 255).round().clip(0, 255)
    return np.ascontiguousarray(images, dtype=image.dtype)


def _run_first(
    session: onnxruntime.InferenceSession, image: ImageInput, names: list[str]
) -> tuple[ImageFormat, npt.NDArray[np.generic], Arrays]:
    """Run the graph on images of the first format and size with which it runs.

    Raises:
        CheckpointRefused: It runs with none of them.
    """
    first_error = None
    for image_format in possible_formats(image):
        sides = image.shape[2:] if image_format.layout == "NCHW" else image.shape[1:3]
        common = _SIDES if None in sides else _SIDES[:1]
        for side in common:
            height, width = (fixed or side for fixed in sides)
            count = image.shape[0] or _BATCH_SIZE
            batch = image_batch(image, image_format, (height, width), count)
            try:
                arrays = run_session(session, names, image.name, batch, CHECK_SECONDS)
            except GraphFailed as error:
                first_error = first_error or error
                continue
            # A graph may reshape images of another size to a batch of another size.
            if any(len(array) == count for array in arrays if array.ndim):
                return image_format, batch, arrays
            shapes = ", ".join(str(list(array.shape)) for array in arrays)
            found = f"its outputs have the shapes {shapes} for {count} images"
            first_error = first_error or GraphFailed(found)
    raise CheckpointRefused(
        f"The ONNX graph does not run on images: {first_error}.",
        hint="Run it with onnxruntime on a batch of images, and export it again.",
    ) from first_error


def _check_outputs(graph: OnnxGraph, batch: npt.NDArray[np.generic]) -> OnnxGraph:
    """Run the graph with all tensors that a teacher needs.

    Returns the graph with the feature maps that it really has, and notes if it computes
    probabilities.

    Raises:
        CheckpointRefused: The logits or features are not finite numbers for each image.
    """
    try:
        session = create_session(graph.model, _CPU)
        logits, features, *maps = run_session(
            session, graph.names, graph.image.name, batch, CHECK_SECONDS
        )
    except GraphFailed as error:
        raise CheckpointRefused(
            f"The features of the ONNX graph cannot be computed: {error}.",
            hint="Name another tensor in teacher.features, or export the network again.",
        ) from error
    for name, array in ((graph.logits, logits), (graph.features, features)):
        if not np.isfinite(array.astype(np.float64)).all():
            raise CheckpointRefused(f"The ONNX graph computes NaN or infinite values in {name}.")
        if array.shape[:1] != batch.shape[:1] or array.ndim < 2:
            raise CheckpointRefused(
                f"{name} has the shape {list(array.shape)} for {len(batch)} images. It must have"
                " values for each image.",
                hint="Name another tensor in teacher.features, or export the network again.",
            )
    kept = [
        name
        for name, array in zip(graph.maps, maps, strict=True)
        if array.ndim == 4 and len(array) == len(batch)
    ]
    graph = replace(graph, maps=tuple(kept))
    if graph.num_outputs == 1 or not _are_probabilities(logits):
        return graph
    notice = (
        "The graph computes probabilities. The teacher uses their logarithms as logits. Export the"
        " logits instead if you can: they are more precise."
    )
    return replace(graph, has_probabilities=True, notices=(*graph.notices, notice))


def _are_probabilities(values: npt.NDArray[np.generic]) -> bool:
    """Return whether the values of each image are not negative and sum to 1."""
    rows = values.astype(np.float64).reshape(len(values), -1)
    sums = rows.sum(axis=1)
    return bool((rows >= 0).all() and np.allclose(sums, 1, atol=_SUM_TOLERANCE))
