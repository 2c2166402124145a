"""Initialization of the student, randomly or with published weights."""

from typing import Any

import torch

from dlkd_core.catalog import find_architecture
from dlkd_core.errors import SpecError
from dlkd_core.models.meta_network import build_meta_network
from dlkd_core.models.network import Network, build_network
from dlkd_core.models.pretrained_weights import load_pretrained_student
from dlkd_core.spec import Normalization, StudentSpec


def complete_options(student: StudentSpec, size: tuple[int, int]) -> dict[str, Any]:
    """Return the student's options with the image size filled in where its architecture needs it.

    `size` is the height and width of the images.
    """
    return find_architecture(student.architecture).with_image_size(student.options, size)


def exposes_blocks(student: StudentSpec, num_classes: int, size: tuple[int, int]) -> bool:
    """Return whether the outputs of the student's blocks can be compared with a teacher's."""
    options = complete_options(student, size)
    return bool(build_meta_network(student.architecture, num_classes, options).blocks)


def init_student(
    student: StudentSpec, num_classes: int, size: tuple[int, int], data_normalization: Normalization
) -> tuple[Network, Normalization]:
    """Build the student and return it with the normalization of its input images.

    The normalization is that of the published weights if they are used, and `data_normalization`
    otherwise.

    Raises:
        SpecError: the network does not run on images of this height and width, does not accept its
            options, or has no published weights for them.
        WeightsUnavailable: the published weights are not in the cache and cannot be downloaded.
    """
    options = complete_options(student, size)
    if student.pretrained:
        pretrained = load_pretrained_student(student.architecture, num_classes, options)
        network, normalization = pretrained.network, pretrained.normalization
    else:
        network = build_network(student.architecture, num_classes, options)
        normalization = data_normalization
    check_image_size(network, student.architecture, size)
    return network, normalization


@torch.no_grad()
def check_image_size(network: Network, name: str, size: tuple[int, int]) -> None:
    """Check that the network accepts images of this height and width, by running it on one.

    Some limits, such as multiples of the patch or window size, show only in a forward pass.

    Raises:
        SpecError: the network does not run at this size.
    """
    was_training = network.module.training
    try:
        network.module.eval()(torch.zeros(1, 3, *size))
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise SpecError(
            f"{name} does not run on images of {size[0]} x {size[1]} pixels: {reason}.",
            hint="Set dataset.image_size, for example to a multiple of 32, or use another "
            "architecture.",
            pointer="/student/architecture",
        ) from error
    finally:
        network.module.train(was_training)
