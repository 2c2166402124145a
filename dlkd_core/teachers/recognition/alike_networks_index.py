"""Generates the groups of alike networks in `dlkd_core/catalog/architectures/alike_networks.json`.

Run this module to regenerate the file, which takes about half an hour. Networks with the same
fingerprint are filled with the same random weights and run on the same image. They compute the same
if their features and logits are equal.
"""

import json
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from dlkd_core.catalog import ARCHITECTURES, find_architecture
from dlkd_core.catalog.architectures.alike_networks import ALIKE_NETWORKS_FILE
from dlkd_core.catalog.architectures.parameter_counts import get_parameter_count
from dlkd_core.catalog.architectures.timm_architectures import (
    TIMM_MODEL_INFO,
    TIMM_PREFIX,
    SizePolicy,
)
from dlkd_core.models import FeatureExtractor, Network
from dlkd_core.models.parameter_names import canonical_name, classifier_weights, is_learned
from dlkd_core.models.uninitialized_network import build_uninitialized_network
from dlkd_core.teachers.recognition.fingerprints import (
    INDEXED_FAMILIES,
    compute_fingerprint,
    list_variants,
)

_CLASSES = 2
_MAX_SIDE = 128  # for networks that accept any image size, to save time
# Larger networks are not run. Each of them is listed as if it computed differently.
_MAX_PARAMETERS = 500_000_000
# Relative difference of outputs that are still equal. Different kernels for the same function
# cause about 1e-6.
_TOLERANCE = 1e-5
_IDENTITY = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


def build_index() -> str:
    """Return the content of the file, with one line per group."""
    lines = [json.dumps(split_by_computation(names)) for names in find_groups()]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def find_groups() -> list[list[str]]:
    """Return the names of networks with the same fingerprint, if there are several."""
    groups = defaultdict(list)
    for name, entry in ARCHITECTURES.items():
        if entry.family in INDEXED_FAMILIES:
            options = list_variants(name)[0]
            groups[compute_fingerprint(name, options).digest].append(name)
    return [names for names in groups.values() if len(names) > 1]


def split_by_computation(names: Sequence[str]) -> list[list[str]]:
    """Split alike networks into lists of networks that compute the same."""
    count = get_parameter_count(names[0], {}, _CLASSES)
    if count and count.total > _MAX_PARAMETERS:
        return [[name] for name in names]
    side = choose_image_side(names[0])
    outputs: dict[str, Tensor] = {}
    equivalents: dict[str, list[str]] = {}
    for name in names:
        output = run_with_random_weights(name, side)
        same = [other for other, known in outputs.items() if _are_equal(output, known)]
        if same:
            equivalents[same[0]].append(name)
        else:
            outputs[name], equivalents[name] = output, [name]
    return list(equivalents.values())


def choose_image_side(name: str) -> int:
    """Return the side length of an image, in pixels, that a network accepts."""
    entry = find_architecture(name)
    if not name.startswith(TIMM_PREFIX):
        return max(entry.min_size, _MAX_SIDE)
    info = TIMM_MODEL_INFO[name.removeprefix(TIMM_PREFIX)]
    if info.size_policy == SizePolicy.ANY:
        return max(info.min_size, min(info.image_size, _MAX_SIDE))
    return info.image_size


@torch.no_grad()
def run_with_random_weights(name: str, side: int) -> Tensor:
    """Return a network's features and logits for one image, (features + classes,).

    Alike networks get the same weights.
    """
    entry = find_architecture(name)
    options = entry.with_image_size({}, (side, side))
    if entry.describe_size_mismatch(options, (side, side)):
        side = choose_image_side(name)
    network = build_uninitialized_network(name, _CLASSES, options)
    fill_with_random_weights(network)
    without_maps = Network(network.module, network.classifier, ())
    image = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    outputs = FeatureExtractor(without_maps, *_IDENTITY).eval()(image)
    return torch.cat([outputs.features.flatten(), outputs.logits.flatten()])


def fill_with_random_weights(network: Network, seed: int = 0) -> None:
    """Fill all weights with random values that keep the scale of activations.

    Initial values would hide differences, for example behind a layer scale that is almost zero.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in _sorted_weights(network):
        if name.endswith(("running_var", "norm.weight")) or tensor.dim() < 2:
            offset = 0.0 if name.endswith(("bias", "running_mean")) else 1.0
            tensor.uniform_(-0.3, 0.3, generator=generator).add_(offset)
        else:
            fan_in = max(1, tensor[0].numel())
            tensor.normal_(0, fan_in**-0.5, generator=generator)


def _sorted_weights(network: Network) -> Iterator[tuple[str, Tensor]]:
    """Iterate over the learned weights in the order of their names, the classifiers' last."""
    state = network.module.state_dict()
    head = classifier_weights(network.classifier)
    learned = [name for name in state if is_learned(name) and state[name].is_floating_point()]
    for name in sorted(learned, key=lambda name: (name in head, canonical_name(name))):
        yield name, state[name]


def _are_equal(output: Tensor, other: Tensor) -> bool:
    return output.shape == other.shape and bool(
        ((output - other).norm() / other.norm()) < _TOLERANCE
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    ALIKE_NETWORKS_FILE.write_text(build_index())
