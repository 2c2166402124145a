"""How a student begins: drawn anew, or with published weights."""

from typing import Any

import torch

from dlkd_core.catalog import find_architecture
from dlkd_core.errors import SpecError
from dlkd_core.models.network import Network, build
from dlkd_core.models.pretrained import start
from dlkd_core.spec import Normalization, StudentSpec


def complete_options(student: StudentSpec, size: tuple[int, int]) -> dict[str, Any]:
    """The student's options for images of that height and width."""
    return find_architecture(student.architecture).sized(student.options, size)


def begin(student: StudentSpec, num_classes: int, size: tuple[int, int], own: Normalization) -> tuple[Network, Normalization]:
    """The network, and how its images are normalised: as those of the published weights, or by the data's `own`.

    Raises:
        SpecError: it does not run on images of that height and width; see also `build` and `pretrained.start`.
    """
    options = complete_options(student, size)
    if student.pretrained:
        found = start(student.architecture, num_classes, options)
        network, normalization = found.network, found.normalization
    else:
        network, normalization = build(student.architecture, num_classes, options), own
    check_runs(network, student.architecture, size)
    return network, normalization


@torch.no_grad()
def check_runs(network: Network, name: str, size: tuple[int, int]) -> None:
    """Shows it one image. Its own limits (multiples of its patches, of its windows) are found by nothing else.

    Raises:
        SpecError: it fails on it.
    """
    training = network.module.training
    try:
        network.module.eval()(torch.zeros(1, 3, *size))
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError, ValueError) as error:
        raise SpecError(
            f"{name} does not run on images of {size[0]} x {size[1]} pixels: {str(error).partition(chr(10))[0]}.",
            hint="Set dataset.image_size, for instance to a multiple of 32, or name another architecture.",
            pointer="/student/architecture",
        ) from error
    finally:
        network.module.train(training)
