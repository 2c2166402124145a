"""Reads the folder of a network of transformers as a teacher's network."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch

from dlkd_core.catalog.architectures.architecture import RGB_CHANNELS
from dlkd_core.catalog.architectures.transformers_networks import TRANSFORMERS_PREFIX
from dlkd_core.errors import CheckpointRefused, ImagesDoNotFit, KeysDoNotFit
from dlkd_core.memory_limits import raise_if_out_of_memory
from dlkd_core.models.network import Network
from dlkd_core.models.parameter_names import layer_weights, summarize_names
from dlkd_core.spec import Normalization
from dlkd_core.teachers.reading.file_format import CheckpointFormat
from dlkd_core.teachers.transformers import network_config, preprocessor
from dlkd_core.teachers.transformers.layer_search import find_layers
from dlkd_core.teachers.transformers.network_builder import BuiltNetwork, build_from_folder
from dlkd_core.teachers.transformers.network_folder import NetworkFolder
from dlkd_core.teachers.transformers.transformers_network import TransformersNetwork

_BATCH_SIZE = 2


@dataclass(frozen=True)
class TransformersTeacher:
    """A network of transformers and what its files say about it.

    Attributes:
        network: The network with its weights, and the names of its layers.
        format: Format of the weights.
        architecture: Its kind in transformers, with the prefix `transformers/`.
        options: `in_channels`, and `image_size` if it takes images of one size only.
        num_classes: Number of classes, or 0 if the file has no classifier.
        class_names: Names of the classes, or nothing if the file has placeholders.
        normalization: The input normalization that the file states.
        notices: Messages for the user.
    """

    network: Network
    format: CheckpointFormat
    architecture: str
    options: dict[str, Any]
    num_classes: int
    class_names: tuple[str, ...]
    normalization: Normalization | None
    notices: tuple[str, ...]


def build_transformers_teacher(folder: NetworkFolder) -> TransformersTeacher:
    """Build the network of a folder, and run it once.

    Raises:
        CheckpointRefused: The folder or its configuration is refused, or the network does not run.
        KeysDoNotFit: The weights do not belong to the configuration.
        LibraryMissing: transformers is not installed.
    """
    built = build_from_folder(folder)
    architecture = f"{TRANSFORMERS_PREFIX}{network_config.model_type(folder.config)}"
    channels = network_config.input_channels(folder.config)
    sides = network_config.image_sides(folder.config)
    module = TransformersNetwork(
        built.module, sides, flips_channels=preprocessor.flips_channels(folder.preprocessor)
    )
    network = _find_network(module.eval(), architecture, channels, sides)
    headless = _is_headless(network, built, architecture)
    size = {} if _takes_other_sizes(module, channels, sides) else {"image_size": sides[0]}
    classes = 0 if headless else _count_classes(network)
    names = () if headless else network_config.class_names(folder.config)
    return TransformersTeacher(
        network=network,
        format=folder.format,
        architecture=architecture,
        options={**({} if channels == RGB_CHANNELS else {"in_channels": channels}), **size},
        num_classes=classes,
        class_names=names if len(names) == classes else (),
        normalization=preprocessor.read_normalization(folder.preprocessor, channels),
        notices=tuple(_describe(folder, built, network, headless=headless)),
    )


def _find_network(
    module: TransformersNetwork, architecture: str, channels: int, sides: tuple[int, int]
) -> Network:
    if sides[0] != sides[1]:
        raise CheckpointRefused(
            f"{architecture} takes images of {sides[0]} x {sides[1]} pixels. The service gives all"
            " images the same height and width.",
            hint="Use a network for square images.",
        )
    try:
        network = find_layers(module, _random_images(channels, sides[0]))
    except Exception as error:
        raise_if_out_of_memory(error, "the network")
        reason = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        raise CheckpointRefused(
            f"{architecture} does not run on images of {sides[0]} x {sides[1]} pixels: {reason}.",
            hint="Export the network to ONNX, and upload the ONNX file.",
        ) from error
    if network is None:
        raise CheckpointRefused(
            f"The classifier of {architecture} is not found among its layers.",
            hint="Export the network to ONNX, and upload the ONNX file.",
        )
    return network


def _is_headless(network: Network, built: BuiltNetwork, architecture: str) -> bool:
    """Return whether the file lacks the classifier, and nothing else of the network."""
    prefix = "model."  # the attribute of `TransformersNetwork`
    own = {
        name.removeprefix(prefix)
        for classifier in network.classifiers
        for name in layer_weights(classifier)
    }
    missing = [name for name in built.missing if name not in own]
    if missing:
        raise KeysDoNotFit(
            f"The weights are not those of the {architecture} in config.json. Missing:"
            f" {summarize_names(missing)}. Not expected: {summarize_names(built.ignored)}.",
            hint="Zip the folder that save_pretrained has written.",
        )
    return bool(built.missing)


@torch.no_grad()
def _takes_other_sizes(module: TransformersNetwork, channels: int, sides: tuple[int, int]) -> bool:
    """Return whether a network runs on images of half or twice the size.

    A copy is run, which shares the weights, because Swin keeps the window sizes of its last images.
    """
    tensors = [*module.parameters(), *module.buffers()]
    tried = deepcopy(module, {id(tensor): tensor for tensor in tensors})
    for side in (sides[0] // 2, 2 * sides[0]):
        if not 32 <= side <= 448:
            continue
        try:
            tried(_random_images(channels, side))
        except ImagesDoNotFit:
            continue
        return True
    return False


def _random_images(channels: int, side: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(_BATCH_SIZE, channels, side, side, generator=generator)


def _count_classes(network: Network) -> int:
    return len(network.module.get_parameter(f"{network.classifier}.weight"))


def _describe(
    folder: NetworkFolder,
    built: BuiltNetwork,
    network: Network,
    *,
    headless: bool,
) -> list[str]:
    notices = []
    title = type(built.module).__name__
    side = network_config.stated_side(folder.config)
    size = f", built for images of {side} x {side} pixels" if side else ""
    notices.append(f"The network is {title} of transformers{size}.")
    if headless:
        notices.append(
            "The file holds no classifier. The student learns from the features, which are the"
            " input of the classifier that transformers would add."
        )
    if folder.preprocessor:
        side = preprocessor.read_image_side(folder.preprocessor)
        channels = network_config.input_channels(folder.config)
        normalization = preprocessor.read_normalization(folder.preprocessor, channels)
        if normalization:
            values = f"mean {_shorten(normalization.mean)}, std {_shorten(normalization.std)}"
            notices.append(f"preprocessor_config.json states the normalization: {values}.")
        if side:
            notices.append(
                f"preprocessor_config.json states images of {side} pixels. Set"
                f" dataset.image_size to {side} to use the network as it was trained."
            )
    if not network.blocks:
        notices.append(
            "No block of the network returns feature maps. Methods that need them cannot be used."
        )
    if built.ignored:
        notices.append(f"Ignored tensors: {summarize_names(built.ignored)}.")
    if folder.config.get("auto_map"):
        notices.append("The code that config.json names (auto_map) is not run.")
    return notices


def _shorten(values: tuple[float, ...]) -> list[float]:
    return [round(value, 4) for value in values]
