"""Loads teacher files: reads the weights, recognizes the architecture and builds the network."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch

from dlkd_core.catalog.architectures.architecture import RGB_CHANNELS
from dlkd_core.catalog.channels import input_channels
from dlkd_core.errors import KeysDoNotFit
from dlkd_core.models import FeatureExtractor, Network
from dlkd_core.models.feature_extractor import HeadlessFeatureExtractor
from dlkd_core.models.memory_layout import use_channels_last
from dlkd_core.models.network import count_parameters
from dlkd_core.models.uninitialized_network import build_uninitialized_network
from dlkd_core.spec import Normalization
from dlkd_core.teachers.onnx.onnx_file import find_zipped_graph
from dlkd_core.teachers.onnx.onnx_graph import OnnxGraph
from dlkd_core.teachers.onnx.onnx_reader import read_graph
from dlkd_core.teachers.onnx.onnx_teacher import OnnxSource, OnnxTeacher
from dlkd_core.teachers.output_check import check_outputs
from dlkd_core.teachers.reading.checkpoint_reader import detect_file_format, read_checkpoint
from dlkd_core.teachers.reading.file_format import CheckpointFormat
from dlkd_core.teachers.recognition.recognizer import RecognizedModel, check_class_count, recognize
from dlkd_core.teachers.transformers.network_folder import (
    NetworkFolder,
    is_network_folder,
    read_network_folder,
)
from dlkd_core.teachers.transformers.timm_folder import is_timm_folder, read_timm_folder
from dlkd_core.teachers.transformers.transformers_teacher import build_transformers_teacher


class TeacherSource(Protocol):
    """A loaded teacher that can be run once its input normalization is known."""

    def build_extractor(
        self, normalization: Normalization, device: torch.device
    ) -> FeatureExtractor | OnnxTeacher:
        """Return a frozen module on the device that maps images in [0, 1] to `Outputs`."""


@dataclass(frozen=True)
class NetworkSource:
    """A catalog network with its weights.

    `headless` means that the classifier is not part of the checkpoint.
    """

    network: Network
    headless: bool = False

    @property
    def parameters(self) -> int:
        """Number of parameters, without those of the classifiers if the network is headless."""
        names = self.network.classifiers if self.headless else ()
        excluded = map(self.network.module.get_submodule, names)
        return count_parameters(self.network.module) - sum(map(count_parameters, excluded))

    def build_extractor(
        self, normalization: Normalization, device: torch.device
    ) -> FeatureExtractor:
        """Wrap the network. Several wrappers of the same network can be used at the same time."""
        self.network.module.to(device)
        use_channels_last(self.network.module)
        extractor = HeadlessFeatureExtractor if self.headless else FeatureExtractor
        return extractor(self.network, normalization.mean, normalization.std).eval().to(device)


@dataclass(frozen=True)
class LoadedTeacher:
    """A loaded teacher, with its weights converted to float32.

    Attributes:
        source: Builds the runnable teacher.
        format: File format, or "pretrained" for weights that were loaded by name.
        architecture: Name in the catalog, `transformers/` and a kind of network, or None for an
            ONNX graph.
        options: Complete architecture options.
        num_classes: Number of classes, or 0 for a network without a classifier.
        parameters: Number of parameters.
        notices: Messages for the user.
        alternatives: Names of other networks that the weights fit but that compute differently (see
            `recognize`).
        normalization: Input normalization published with the weights. Of the teachers that are
            loaded from a file, only networks of transformers may have one.
        takes_bytes: Whether the teacher takes images from 0 to 255 and normalizes them itself.
        class_names: Names of the teacher's classes, or nothing if they are not known.
    """

    source: TeacherSource
    format: CheckpointFormat | Literal["pretrained"]
    architecture: str | None
    options: dict[str, Any]
    num_classes: int
    parameters: int
    notices: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()
    normalization: Normalization | None = None
    takes_bytes: bool = False
    class_names: tuple[str, ...] = ()

    @property
    def channels(self) -> int:
        """Number of channels of the images that the teacher takes."""
        return input_channels(self.options)

    @property
    def title(self) -> str:
        """Display name."""
        return self.architecture or "ONNX graph"


def load_teacher_file(
    path: Path,
    *,
    architecture: str | None = None,
    options: Mapping[str, Any] | None = None,
    num_classes: int | None = None,
    features: str | None = None,
) -> LoadedTeacher:
    """Load a checkpoint, an ONNX graph or a folder of transformers. Omitted arguments are detected.

    Args:
        path: File to load.
        architecture: Expected architecture.
        options: Expected architecture options, or `output`, the name of an ONNX graph's output
            with the logits.
        num_classes: Expected number of classes.
        features: Name of the feature tensor. ONNX graphs only.

    Raises:
        TeacherError: The file is unreadable or refused, its architecture is unknown, or it does
            not match the arguments (see `recognize`).
    """
    file_format = detect_file_format(path)
    folder = read_network_folder(path) if is_network_folder(path) else None
    if folder and not is_timm_folder(folder):
        return _load_transformers(folder, architecture, num_classes)
    if folder is None and (file_format == CheckpointFormat.ONNX or find_zipped_graph(path)):
        output = (options or {}).get("output")
        return _load_graph(path, architecture, num_classes, features, output)
    checkpoint = read_timm_folder(folder) if folder else read_checkpoint(path)
    recognized = recognize(
        checkpoint.tensors,
        architecture=architecture,
        options=options,
        num_classes=num_classes,
        declared_names=checkpoint.declared_names,
    )
    source = NetworkSource(_assemble_network(recognized), headless=recognized.num_classes == 0)
    return LoadedTeacher(
        source=source,
        format=checkpoint.format,
        architecture=recognized.architecture,
        options=recognized.options,
        num_classes=recognized.num_classes,
        parameters=source.parameters,
        notices=recognized.notices,
        alternatives=recognized.alternatives,
        class_names=_fitting_names(checkpoint.class_names, recognized.num_classes),
    )


def _load_transformers(
    folder: NetworkFolder, architecture: str | None, num_classes: int | None
) -> LoadedTeacher:
    teacher = build_transformers_teacher(folder)
    if architecture not in {None, teacher.architecture}:
        raise KeysDoNotFit(
            f"The file is the folder of a {teacher.architecture}, which defines its own network and"
            f" cannot be loaded as {architecture}.",
            hint="Omit the architecture.",
            pointer="/teacher/architecture",
        )
    check_class_count(teacher.num_classes, num_classes)
    source = NetworkSource(teacher.network, headless=teacher.num_classes == 0)
    return LoadedTeacher(
        source=source,
        format=teacher.format,
        architecture=teacher.architecture,
        options=teacher.options,
        num_classes=teacher.num_classes,
        parameters=source.parameters,
        notices=teacher.notices,
        normalization=teacher.normalization,
        class_names=teacher.class_names,
    )


def _load_graph(
    path: Path,
    architecture: str | None,
    num_classes: int | None,
    features: str | None,
    output: str | None,
) -> LoadedTeacher:
    if architecture is not None:
        raise KeysDoNotFit(
            "The file is an ONNX graph, which defines its own network and cannot be loaded as "
            f"{architecture}.",
            hint="Omit the architecture.",
            pointer="/teacher/architecture",
        )
    graph = read_graph(path, features, output)
    check_class_count(graph.num_classes, num_classes)
    return LoadedTeacher(
        source=OnnxSource(graph),
        format=CheckpointFormat.ONNX,
        architecture=None,
        options=_graph_options(graph, output),
        num_classes=graph.num_classes,
        parameters=graph.parameters,
        notices=graph.notices,
        takes_bytes=graph.image.dtype == np.uint8,
        class_names=_fitting_names(graph.class_names, graph.num_classes),
    )


def _fitting_names(names: tuple[str, ...], num_classes: int) -> tuple[str, ...]:
    """Return the names of the classes, or nothing if they are those of something else."""
    return names if len(names) == num_classes else ()


def _graph_options(graph: OnnxGraph, output: str | None) -> dict[str, Any]:
    """Return the options of a graph, which have the form of architecture options."""
    channels = graph.format.channels
    return {
        **({} if channels == RGB_CHANNELS else {"in_channels": channels}),
        **({} if output is None else {"output": output}),
    }


def inspect_teacher(
    path: Path,
    architecture: str | None = None,
    num_classes: int | None = None,
    output: str | None = None,
) -> dict[str, Any]:
    """Check an uploaded checkpoint and describe it as plain data.

    Raises:
        TeacherError: See `load_teacher_file` and `check_outputs`.
    """
    loaded = load_teacher_file(
        path,
        architecture=architecture,
        options=None if output is None else {"output": output},
        num_classes=num_classes,
    )
    if isinstance(loaded.source, NetworkSource) and loaded.architecture:
        check_outputs(
            loaded.source.network, loaded.architecture, loaded.options, loaded.num_classes
        )
    return {
        "format": str(loaded.format),
        "architecture": loaded.architecture,
        "options": loaded.options,
        "num_classes": loaded.num_classes,
        "parameters": loaded.parameters,
        "notices": list(loaded.notices),
        "alternatives": list(loaded.alternatives),
    }


def _assemble_network(recognized: RecognizedModel) -> Network:
    """Build the network and copy the weights into it, which converts floats to float32."""
    network = build_uninitialized_network(
        recognized.architecture, recognized.num_classes or 1, recognized.options
    )
    # Keeps the versions of the modules, without which MNASNet refuses its weights.
    weights = network.module.state_dict()
    weights.clear()
    weights.update(recognized.tensors)
    network.module.load_state_dict(weights)
    network.module.eval().requires_grad_(requires_grad=False)
    return network
