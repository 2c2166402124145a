"""What tells the architectures apart without building them: a digest of the names and shapes of their weights.

The paper's families are built as skeletons when first asked for. torchvision's, which take seconds to import and build, stand in
`torchvision.json`; `python -m dlkd_core.teachers.fingerprints` writes it anew, and a test holds it to the networks.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any, get_args

from dlkd_core.catalog import ARCHITECTURES, find_architecture
from dlkd_core.models.skeleton import skeleton
from dlkd_core.teachers.names import Shape, canonical, is_auxiliary, is_learnt, of_layer

_INDEX = Path(__file__).with_name("torchvision.json")
_INDEXED = "torchvision"


@dataclass(frozen=True)
class Fingerprint:
    """One variant of an architecture, whatever its number of classes."""

    architecture: str
    options: dict[str, Any]
    classifier: str
    digest: str  # of the weights but the classifier's
    values: int  # in those weights
    parts: dict[str, int]  # weights by the first component of their names


def known() -> tuple[Fingerprint, ...]:
    """Every variant of the catalog, the paper's first."""
    return (*_built(), *_indexed())


def variants(architecture: str) -> list[dict[str, Any]]:
    """Every combination of the options of an architecture that change its weights."""
    fields = find_architecture(architecture).options.model_fields
    choices = [[(name, choice) for choice in get_args(field.annotation)] for name, field in fields.items()]
    return [dict(combination) for combination in product(*choices)]


def digest(shapes: Mapping[str, Shape], classifier: str) -> str:
    """The same for all networks of an architecture: names and shapes of what is learnt, without the classifier."""
    lines = sorted(f"{canonical(name)} {shape}" for name, shape in _backbone(shapes, classifier).items())
    return sha256("\n".join(lines).encode()).hexdigest()[:16]


def parts(shapes: Mapping[str, Shape], classifier: str) -> dict[str, int]:
    """How many weights there are under each first component of the names: a rough likeness."""
    return dict(Counter(name.partition(".")[0] for name in _backbone(shapes, classifier)))


def values(shapes: Mapping[str, Shape], classifier: str) -> int:
    """How many numbers the weights have, without the classifier's."""
    total = 0
    for shape in _backbone(shapes, classifier).values():
        count = 1
        for side in shape:
            count *= side
        total += count
    return total


def take(architecture: str, options: dict[str, Any]) -> Fingerprint:
    """The fingerprint of that variant, from its skeleton."""
    network = skeleton(architecture, 2, options)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.module.state_dict().items()}
    name = network.classifier
    return Fingerprint(architecture, options, name, digest(shapes, name), values(shapes, name), parts(shapes, name))


def _backbone(shapes: Mapping[str, Shape], classifier: str) -> dict[str, Shape]:
    left_out = of_layer(classifier)
    return {name: shape for name, shape in shapes.items() if is_learnt(name) and not is_auxiliary(name) and name not in left_out}


def _variants_of(*, indexed: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, entry in ARCHITECTURES.items():
        if (entry.family == _INDEXED) is indexed:
            yield from ((name, options) for options in variants(name))


@cache
def _built() -> tuple[Fingerprint, ...]:
    return tuple(take(name, options) for name, options in _variants_of(indexed=False))


@cache
def _indexed() -> tuple[Fingerprint, ...]:
    return tuple(Fingerprint(**entry) for entry in json.loads(_INDEX.read_text()))


def index_text() -> str:
    """What `torchvision.json` has to say: one line for each network."""
    lines = [json.dumps(asdict(take(name, options))) for name, options in _variants_of(indexed=True)]
    return "[\n" + ",\n".join(lines) + "\n]\n"


if __name__ == "__main__":
    _INDEX.write_text(index_text())
