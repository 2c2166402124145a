"""Search for a known network inside a self-supervised checkpoint.

The network's weights may have a prefix, and the checkpoint may also contain heads. MoCo stores the
query encoder under `encoder_q` and the key encoder under `encoder_k`. BYOL uses `online_...` and
`target_...`, DINO uses `student` and `teacher`, SimCLR uses `encoder` or `backbone`. SwAV adds
`projection_head` and `prototypes` to the layers. The search ignores such heads: it looks for the
layers of the network itself and lists all other tensors as ignored.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from dlkd_core.models.parameter_names import classifier_weights, is_auxiliary
from dlkd_core.teachers.recognition.fingerprints import Fingerprint, compute_digest

_MAX_PREFIX_DEPTH = 3  # maximum number of name components in a prefix
_MIN_TENSORS = 8  # minimum number of tensors under a prefix
_PREFERRED_PREFIXES = ("encoder_q", "online", "teacher")  # the encoders that these methods publish
# Moving averages that the authors of these methods discard.
_MOMENTUM_PREFIXES = ("encoder_k", "momentum", "target")


@dataclass(frozen=True)
class Backbone:
    """A known network found in a checkpoint.

    Attributes:
        variant: The architecture and options that the layers belong to.
        prefix: Prefix of the layers in the file.
        tensors: The network's tensors, under names without the prefix.
        classifier: Name of the classifier, or None if the file holds more than this network or
            has no classifier.
        ignored: Names of all other tensors in the file.
    """

    variant: Fingerprint
    prefix: str
    tensors: dict[str, Tensor]
    classifier: str | None
    ignored: tuple[str, ...]

    def describe(self) -> str:
        """Return a sentence that says which tensors were used and which were ignored."""
        counts = Counter(_group_name(name, self.prefix) for name in self.ignored)
        groups = ", ".join(f"{name} ({count})" for name, count in counts.items())
        location = f" under {self.prefix}" if self.prefix else ""
        ignored = f" Ignored tensors: {groups}." if groups else ""
        return (
            f"The checkpoint holds the layers of {self.variant.architecture}{location} without a "
            f"classifier. The student learns from its features.{ignored}"
        )


def find_backbone(tensors: Mapping[str, Tensor], known: Iterable[Fingerprint]) -> Backbone | None:
    """Return the first known network whose layers (except the classifier) are all present."""
    families = _group_by_family(known)
    for prefix in _candidate_prefixes(tensors):
        inner = {
            name.removeprefix(prefix): tensor
            for name, tensor in tensors.items()
            if name.startswith(prefix)
        }
        match = _match_family(inner, families)
        if match:
            variant, layers = match
            is_whole_file = len(inner) == len(tensors) and not _prefix_rank(prefix)
            classifier = _find_classifier(inner, layers, variant) if is_whole_file else None
            used = {*layers, *(classifier_weights(classifier) if classifier else ())}
            file_names = {prefix + name for name in used}
            return Backbone(
                variant=variant,
                prefix=prefix.rstrip("."),
                tensors={name: tensor for name, tensor in inner.items() if name in used},
                classifier=classifier,
                ignored=tuple(name for name in tensors if name not in file_names),
            )
    return None


# A family: the first components of the layers' names, and the classifier's name.
_Family = tuple[frozenset[str], str]


def _group_by_family(known: Iterable[Fingerprint]) -> dict[_Family, dict[str, Fingerprint]]:
    """Group variants by family, and index each group by digest.

    If several variants have the same digest, the first is kept.
    """
    families: dict[_Family, dict[str, Fingerprint]] = {}
    for variant in known:
        group = families.setdefault((frozenset(variant.parts), variant.classifier), {})
        group.setdefault(variant.digest, variant)
    return families


def _match_family(
    inner: Mapping[str, Tensor], families: Mapping[_Family, Mapping[str, Fingerprint]]
) -> tuple[Fingerprint, dict[str, Tensor]] | None:
    present = {name.partition(".")[0] for name in inner}
    for (parts, classifier), group in families.items():
        if parts <= present:
            head = classifier_weights(classifier)
            layers = {
                name: tensor
                for name, tensor in inner.items()
                if name.partition(".")[0] in parts and name not in head and not is_auxiliary(name)
            }
            shapes = {name: tuple(tensor.shape) for name, tensor in layers.items()}
            variant = group.get(compute_digest(shapes, classifier))
            if variant:
                return variant, layers
    return None


def _find_classifier(
    inner: Mapping[str, Tensor], layers: Mapping[str, Tensor], variant: Fingerprint
) -> str | None:
    """Return the classifier's name if the file contains only the layers and the classifier.

    Otherwise return None.
    """
    rest = {name for name in inner if name not in layers}
    is_classifier = rest and rest <= set(classifier_weights(variant.classifier))
    return variant.classifier if is_classifier else None


def _candidate_prefixes(tensors: Mapping[str, Tensor]) -> list[str]:
    """Return the prefixes under which a network may be stored, the most likely ones first.

    Prefixes of the encoders that self-supervised methods publish come first, and prefixes of the
    moving averages that they discard come last. Among equals, shorter prefixes come first.
    """
    counts: Counter[str] = Counter()
    for name in tensors:
        components = name.split(".")
        max_depth = min(_MAX_PREFIX_DEPTH, len(components) - 1)
        counts.update(
            ".".join(components[:depth]) + "." if depth else "" for depth in range(max_depth + 1)
        )
    prefixes = [prefix for prefix, count in counts.items() if count >= _MIN_TENSORS]
    return sorted(prefixes, key=lambda prefix: (_prefix_rank(prefix), prefix.count(".")))


def _prefix_rank(prefix: str) -> int:
    if any(name in prefix for name in _MOMENTUM_PREFIXES):
        return 1
    return -1 if any(name in prefix for name in _PREFERRED_PREFIXES) else 0


def _group_name(name: str, prefix: str) -> str:
    """Return the name prefix under which an ignored tensor is listed."""
    inside = f"{prefix}." if prefix and name.startswith(f"{prefix}.") else ""
    return inside + name.removeprefix(inside).partition(".")[0]
