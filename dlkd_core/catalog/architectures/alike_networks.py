"""Networks whose weights have the same names and shapes, read from `alike_networks.json`.

A checkpoint alone does not tell which of them it belongs to. Some of them compute the same, such as
DeiT and ViT. Others differ in padding, in an activation function or in the epsilon of their
normalization layers, such as EfficientNet and its TensorFlow port.

`python -m dlkd_core.teachers.recognition.alike_networks_index` writes the file, and a test checks
it.
"""

import json
from functools import cache
from pathlib import Path

ALIKE_NETWORKS_FILE = Path(__file__).with_name("alike_networks.json")

# Names of networks that compute the same. The first one stands for all of them.
Equivalents = tuple[str, ...]


def find_alike_networks(architecture: str) -> tuple[Equivalents, ...]:
    """Return all networks whose weights have the same names and shapes as those of a network.

    The network itself is included. Networks that compute the same are together.
    """
    return _read_groups().get(architecture, ((architecture,),))


@cache
def _read_groups() -> dict[str, tuple[Equivalents, ...]]:
    groups: list[list[list[str]]] = json.loads(ALIKE_NETWORKS_FILE.read_text())
    return {
        name: tuple(map(tuple, group))
        for group in groups
        for equivalents in group
        for name in equivalents
    }
