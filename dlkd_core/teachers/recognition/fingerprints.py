"""Architecture fingerprints: digests of weight names and shapes that identify a network.

The networks of the DLKD paper and of installed packages are built on the meta device when first
needed. Importing torchvision and timm and building their networks takes seconds or minutes, so the
fingerprints of these networks are stored in `torchvision_fingerprints.json` and
`timm_fingerprints.json`. Regenerate them with
`python -m dlkd_core.teachers.recognition.fingerprints torchvision timm`. Tests compare the files
with the networks.
"""

import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import sha256
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from dlkd_core.catalog import ARCHITECTURES, find_architecture
from dlkd_core.models.meta_network import build_meta_network
from dlkd_core.models.parameter_names import (
    Shape,
    canonical_name,
    classifier_weights,
    is_auxiliary,
    is_learned,
)

# Families with stored fingerprints. If both contain the same network, the first family is used.
INDEXED_FAMILIES = ("torchvision", "timm")


@dataclass(frozen=True)
class Fingerprint:
    """Identity of one architecture variant, independent of its number of classes.

    Attributes:
        architecture: Name in the catalog.
        options: Complete architecture options.
        classifier: Name of the classifier layer.
        digest: Digest of the names and shapes of the weights, excluding the classifier.
        values: Number of scalars in those weights.
        parts: Number of weights by the first component of their names.
    """

    architecture: str
    options: dict[str, Any]
    classifier: str
    digest: str
    values: int
    parts: dict[str, int]


def all_fingerprints() -> tuple[Fingerprint, ...]:
    """Return the fingerprint of every variant in the catalog, the DLKD paper's families first."""
    return (*_built_fingerprints(), *_indexed_fingerprints())


def list_variants(architecture: str) -> list[dict[str, Any]]:
    """Return every combination of an architecture's enumerated options.

    If an architecture can be built for several image sizes, its default image size is used. Other
    numeric options keep their defaults.
    """
    entry = find_architecture(architecture)
    enumerated = {
        name: get_args(field.annotation)
        for name, field in entry.options.model_fields.items()
        if get_origin(field.annotation) is Literal
    }
    choices = [[(name, choice) for choice in values] for name, values in enumerated.items()]
    fixed = (
        {"image_size": entry.default_image_size}
        if entry.is_resizable and entry.default_image_size
        else {}
    )
    return [{**dict(combination), **fixed} for combination in product(*choices)]


def compute_digest(shapes: Mapping[str, Shape], classifier: str) -> str:
    """Return the digest of the names and shapes of the learned weights, excluding the classifier.

    The digest is the same for all networks of one architecture variant.
    """
    lines = sorted(
        f"{canonical_name(name)} {shape}"
        for name, shape in _backbone_shapes(shapes, classifier).items()
    )
    return sha256("\n".join(lines).encode()).hexdigest()[:16]


def count_parts(shapes: Mapping[str, Shape], classifier: str) -> dict[str, int]:
    """Count the weights by the first component of their names, to compare networks roughly."""
    return dict(Counter(name.partition(".")[0] for name in _backbone_shapes(shapes, classifier)))


def count_values(shapes: Mapping[str, Shape], classifier: str) -> int:
    """Count the scalars in the weights, excluding the classifier."""
    return sum(prod(shape) for shape in _backbone_shapes(shapes, classifier).values())


def compute_fingerprint(architecture: str, options: dict[str, Any]) -> Fingerprint:
    """Compute the fingerprint of a variant from its network on the meta device."""
    network = build_meta_network(architecture, 2, options)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.module.state_dict().items()}
    classifier = network.classifier
    return Fingerprint(
        architecture,
        options,
        classifier,
        compute_digest(shapes, classifier),
        count_values(shapes, classifier),
        count_parts(shapes, classifier),
    )


def _backbone_shapes(shapes: Mapping[str, Shape], classifier: str) -> dict[str, Shape]:
    head = classifier_weights(classifier)
    return {
        name: shape
        for name, shape in shapes.items()
        if is_learned(name) and not is_auxiliary(name) and name not in head
    }


def index_path(family: str) -> Path:
    """Return the path of the file that stores a family's fingerprints."""
    return Path(__file__).with_name(f"{family}_fingerprints.json")


@cache
def _built_fingerprints() -> tuple[Fingerprint, ...]:
    names = [name for name, entry in ARCHITECTURES.items() if entry.family not in INDEXED_FAMILIES]
    return tuple(
        compute_fingerprint(name, options) for name in names for options in list_variants(name)
    )


@cache
def _indexed_fingerprints() -> tuple[Fingerprint, ...]:
    return tuple(
        Fingerprint(**entry)
        for family in INDEXED_FAMILIES
        for entry in json.loads(index_path(family).read_text())
    )


def build_index(family: str) -> str:
    """Return the content of a family's fingerprint file, one line per network.

    If several networks have the same digest, only the first is listed.
    """
    by_digest: dict[str, Fingerprint] = {}
    for name, entry in ARCHITECTURES.items():
        if entry.family == family:
            for options in list_variants(name):
                fingerprint = compute_fingerprint(name, options)
                by_digest.setdefault(fingerprint.digest, fingerprint)
    lines = [json.dumps(asdict(fingerprint)) for fingerprint in by_digest.values()]
    return "[\n" + ",\n".join(lines) + "\n]\n"


if __name__ == "__main__":
    for family_name in sys.argv[1:]:
        index_path(family_name).write_text(build_index(family_name))
