"""Runs a spec's evaluation protocols on a network."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from dlkd_core.catalog.evaluation_protocols import EvaluationProtocol
from dlkd_core.common import import_target
from dlkd_core.data import ImageDataset, ReadOptions, open_dataset
from dlkd_core.data.host_images import convert_channels
from dlkd_core.data.read_options import DEFAULT_READ_OPTIONS
from dlkd_core.errors import SpecError
from dlkd_core.evaluation.features import DatasetFeatures, extract_features
from dlkd_core.network_outputs import Outputs
from dlkd_core.spec import DatasetFile, TransferFile


def check_protocols(
    protocols: Sequence[EvaluationProtocol],
    data: ImageDataset,
    reading: ReadOptions = DEFAULT_READ_OPTIONS,
) -> None:
    """Check, before a long training run, that the protocols can be run after it.

    This reads each additional dataset once.

    Raises:
        SpecError: The training or evaluation images have no labels, or an additional dataset is
            missing.
        DatasetError: An additional dataset is invalid.
    """
    for index, protocol in enumerate(protocols):
        pointer = f"/evaluation/{index}"
        protocol_data = data
        if isinstance(protocol, TransferFile):
            if not protocol.dataset.path.exists():
                raise SpecError(
                    f"The dataset {protocol.dataset.path} does not exist.",
                    pointer=f"{pointer}/dataset/path",
                )
            protocol_data = _open_transfer_dataset(protocol.dataset, reading)
            # Images that cannot be converted are an error now, not after the training.
            convert_channels(protocol_data.train.images[:1], data.channels)
        if not (protocol_data.train.is_labeled and protocol_data.val.is_labeled):
            raise SpecError(
                f"The protocol {protocol.name} needs images with labels.",
                hint="Remove the protocol, or provide labeled training and evaluation images.",
                pointer=pointer,
            )


def run_protocols(
    protocols: Sequence[EvaluationProtocol],
    forward: Callable[[Tensor], Outputs],
    data: ImageDataset,
    reading: ReadOptions,
    device: torch.device,
) -> list[dict[str, Any]]:
    """Run the protocols and return the name, parameters and results of each, in the given order.

    Args:
        protocols: Protocols to run.
        forward: Frozen network on `device` that maps images (N, 3, H, W) in [0, 1] to outputs.
        data: The run's own dataset. Its training split contains exactly the images and labels that
            the run trained on, after the spec's label fraction and label noise were applied.
        reading: Options for reading additional datasets. Datasets too large for memory are kept
            in the cache folder that the options name.
        device: Device of the network.
    """

    @cache
    def own_features() -> DatasetFeatures:
        return extract_features(forward, data.to(device), data.image_size)

    def protocol_features(protocol: EvaluationProtocol) -> DatasetFeatures:
        if not isinstance(protocol, TransferFile):
            return own_features()
        other = _open_transfer_dataset(protocol.dataset, reading).with_channels(data.channels)
        return extract_features(forward, other.to(device), data.image_size)

    return [
        {
            **_describe_protocol(protocol),
            **import_target(protocol.target)(protocol, protocol_features(protocol)),
        }
        for protocol in protocols
    ]


def _open_transfer_dataset(dataset: DatasetFile, reading: ReadOptions) -> ImageDataset:
    return open_dataset(
        dataset.path, replace(reading, image_size=dataset.image_size, resize=dataset.resize)
    )


def _describe_protocol(protocol: EvaluationProtocol) -> dict[str, Any]:
    """Return a protocol's parameters without the dataset's path, because paths are private."""
    parameters = protocol.model_dump(mode="json", exclude={"dataset"})
    if isinstance(protocol, TransferFile):
        parameters["dataset"] = protocol.dataset.display_name
    return parameters
