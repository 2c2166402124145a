"""What tells the architectures apart without building them: a digest of the names and shapes of their weights.

The paper's families, and those that installed packages bring, are built as skeletons when first asked for. torchvision's and
timm's, which take seconds or minutes to import and build, stand in `torchvision.json` and `timm.json`;
`python -m dlkd_core.teachers.fingerprints torchvision timm` writes them anew, and tests hold them to the networks.
"""

import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from dlkd_core.catalog import ARCHITECTURES, find_architecture
from dlkd_core.models.skeleton import skeleton
from dlkd_core.teachers.names import Shape, canonical, is_auxiliary, is_learnt, of_classifier

INDEXED = ("torchvision", "timm")  # families; of networks alike in different ones the first is meant


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
    """Every combination of the listed options of an architecture that change its weights; numbers are at their defaults."""
    entry = find_architecture(architecture)
    listed = {
        name: get_args(f.annotation) for name, f in entry.options.model_fields.items() if get_origin(f.annotation) is Literal
    }
    choices = [[(name, choice) for choice in values] for name, values in listed.items()]
    made_for = {"image_size": entry.side} if entry.resizable and entry.side else {}
    return [{**dict(combination), **made_for} for combination in product(*choices)]


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
    left_out = of_classifier(classifier)
    return {name: shape for name, shape in shapes.items() if is_learnt(name) and not is_auxiliary(name) and name not in left_out}


def index_file(family: str) -> Path:
    """Where the fingerprints of an indexed family stand."""
    return Path(__file__).with_name(f"{family}.json")


@cache
def _built() -> tuple[Fingerprint, ...]:
    names = [name for name, entry in ARCHITECTURES.items() if entry.family not in INDEXED]
    return tuple(take(name, options) for name in names for options in variants(name))


@cache
def _indexed() -> tuple[Fingerprint, ...]:
    return tuple(Fingerprint(**entry) for family in INDEXED for entry in json.loads(index_file(family).read_text()))


def index_text(family: str) -> str:
    """What the file of a family has to say: one line for each network, of several alike the first."""
    names = [name for name, entry in ARCHITECTURES.items() if entry.family == family]
    found: dict[str, Fingerprint] = {}
    for taken in (take(name, options) for name in names for options in variants(name)):
        found.setdefault(taken.digest, taken)
    return "[\n" + ",\n".join(json.dumps(asdict(taken)) for taken in found.values()) + "\n]\n"


if __name__ == "__main__":
    for chosen in sys.argv[1:]:
        index_file(chosen).write_text(index_text(chosen))
