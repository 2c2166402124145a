"""Initialization of the student, randomly or with published weights."""

from typing import Any

import torch

from dlkd_core.catalog import find_architecture
from dlkd_core.catalog.channels import input_channels
from dlkd_core.errors import SpecError
from dlkd_core.models.meta_network import build_meta_network
from dlkd_core.models.network import Network, build_network
from dlkd_core.models.pretrained_weights import load_pretrained_student
from dlkd_core.spec import Normalization, StudentSpec

ImageShape = tuple[int, int, int]  # channels, height, width


def complete_options(student: StudentSpec, shape: ImageShape) -> dict[str, Any]:
    """Return the student's options, with those filled in that follow from the images.

    Raises:
        SpecError: the options are for images with another number of channels.
    """
    channels, *size = shape
    architecture = find_architecture(student.architecture)
    options = architecture.with_images(student.options, (size[0], size[1]), channels)
    built_for = input_channels(options)
    if built_for != channels:
        raise SpecError(
            f"The student takes images with {built_for} channels, but those of the job have"
            f" {channels}.",
            hint="Omit in_channels, or set dataset.channels.",
            pointer="/student/options/in_channels",
        )
    return options


def exposes_blocks(student: StudentSpec, num_classes: int, shape: ImageShape) -> bool:
    """Return whether the outputs of the student's blocks can be compared with a teacher's."""
    options = complete_options(student, shape)
    return bool(build_meta_network(student.architecture, num_classes, options).blocks)


def init_student(
    student: StudentSpec, num_classes: int, shape: ImageShape, data_normalization: Normalization
) -> tuple[Network, Normalization]:
    """Build the student and return it with the normalization of its input images.

    The normalization is that of the published weights if they are used, and `data_normalization`
    otherwise.

    Raises:
        SpecError: the network does not run on images of this shape, does not accept its options,
            or has no published weights for them.
        WeightsUnavailable: the published weights are not in the cache and cannot be downloaded.
    """
    options = complete_options(student, shape)
    if student.pretrained:
        pretrained = load_pretrained_student(student.architecture, num_classes, options)
        network, normalization = pretrained.network, pretrained.normalization
    else:
        network = build_network(student.architecture, num_classes, options)
        normalization = data_normalization
    check_image_shape(network, student.architecture, shape)
    return network, normalization


@torch.no_grad()
def check_image_shape(network: Network, name: str, shape: ImageShape) -> None:
    """Check that the network accepts images of this shape, by running it on one.

    Some limits, such as multiples of the patch or window size, show only in a forward pass.

    Raises:
        SpecError: the network does not run at this size.
    """
    was_training = network.module.training
    try:
        network.module.eval()(torch.zeros(1, *shape))
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        _, height, width = shape
        raise SpecError(
            f"{name} does not run on images of {height} x {width} pixels: {reason}.",
            hint="Set dataset.image_size, for example to a multiple of 32, or use another "
            "architecture.",
            pointer="/student/architecture",
        ) from error
    finally:
        network.module.train(was_training)
