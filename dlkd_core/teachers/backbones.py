"""A known network inside a checkpoint of self-supervised training: under a prefix, with other heads or none.

MoCo keeps the query encoder under `encoder_q` and the key encoder under `encoder_k`, BYOL under `online_...` and `target_...`,
DINO under `student` and `teacher`, SimCLR under `encoder` or `backbone`; SwAV has `projection_head` and `prototypes` beside the
layers. Which heads there are does not matter: what the network itself has is looked for, and the rest is listed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from dlkd_core.teachers.fingerprints import Fingerprint, digest
from dlkd_core.teachers.names import is_auxiliary, of_classifier

_DEPTH = 3  # components of a prefix
_FEWEST = 8  # tensors under one
_MEANT = ("encoder_q", "online", "teacher")  # what these methods publish
_FOLLOWERS = ("encoder_k", "momentum", "target")  # moving averages that their authors throw away


@dataclass(frozen=True)
class Backbone:
    """`tensors` of a `variant`, under names without `prefix`; `left_out` are the file's names of all others."""

    variant: Fingerprint
    prefix: str
    tensors: dict[str, Tensor]
    classifier: str | None  # kept only where the file holds this network alone, as it is
    left_out: tuple[str, ...]

    def described(self) -> str:
        """What was taken and what was not, in a sentence."""
        counts = Counter(_above(name, self.prefix) for name in self.left_out)
        rest = ", ".join(f"{name} ({count})" for name, count in counts.items())
        place = f" under {self.prefix}" if self.prefix else ""
        return (
            f"The checkpoint holds the layers of {self.variant.architecture}{place}, without a classifier: its features teach"
            f"{f'; tensors left out: {rest}' if rest else ''}."
        )


def find_backbone(tensors: Mapping[str, Tensor], known: Iterable[Fingerprint]) -> Backbone | None:
    """The first of the known networks whose layers, but the classifier, are all there; None where none is."""
    families = _families(known)
    for prefix in _prefixes(tensors):
        inner = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        found = _within(inner, families)
        if found:
            variant, kept = found
            classifier = _own_classifier(inner, kept, variant) if len(inner) == len(tensors) and not _rank(prefix) else None
            taken = {prefix + name for name in [*kept, *(of_classifier(classifier) if classifier else ())]}
            left_out = tuple(name for name in tensors if name not in taken)
            held = {name: tensor for name, tensor in inner.items() if prefix + name in taken}
            return Backbone(variant, prefix.rstrip("."), held, classifier, left_out)
    return None


_Family = tuple[frozenset[str], str]  # the first components of the layers' names, and the classifier's name


def _families(known: Iterable[Fingerprint]) -> dict[_Family, dict[str, Fingerprint]]:
    """Variants by what tells their layers from heads, each group by digest; of two alike the first."""
    found: dict[_Family, dict[str, Fingerprint]] = {}
    for variant in known:
        group = found.setdefault((frozenset(variant.parts), variant.classifier), {})
        group.setdefault(variant.digest, variant)
    return found


def _within(
    inner: Mapping[str, Tensor], families: Mapping[_Family, Mapping[str, Fingerprint]]
) -> tuple[Fingerprint, dict[str, Tensor]] | None:
    present = {name.partition(".")[0] for name in inner}
    for (parts, classifier), group in families.items():
        if parts <= present:
            heads = of_classifier(classifier)
            kept = {n: t for n, t in inner.items() if n.partition(".")[0] in parts and n not in heads and not is_auxiliary(n)}
            variant = group.get(digest({name: tuple(tensor.shape) for name, tensor in kept.items()}, classifier))
            if variant:
                return variant, kept
    return None


def _own_classifier(inner: Mapping[str, Tensor], kept: Mapping[str, Tensor], variant: Fingerprint) -> str | None:
    """The classifier of a file that holds nothing beside it and the layers: a network under a mere prefix."""
    rest = {name for name in inner if name not in kept}
    return variant.classifier if rest and rest <= set(of_classifier(variant.classifier)) else None


def _prefixes(tensors: Mapping[str, Tensor]) -> list[str]:
    """Where a network may begin: what its method publishes, then the shallowest first."""
    counts: Counter[str] = Counter()
    for name in tensors:
        parts = name.split(".")
        counts.update(".".join(parts[:depth]) + "." if depth else "" for depth in range(min(_DEPTH, len(parts) - 1) + 1))
    found = [prefix for prefix, count in counts.items() if count >= _FEWEST]
    return sorted(found, key=lambda prefix: (_rank(prefix), prefix.count(".")))


def _rank(prefix: str) -> int:
    if any(word in prefix for word in _FOLLOWERS):
        return 1
    return -1 if any(word in prefix for word in _MEANT) else 0


def _above(name: str, prefix: str) -> str:
    """How a tensor that was left out is listed: by the part of the file that it belongs to."""
    inside = f"{prefix}." if prefix and name.startswith(f"{prefix}.") else ""
    return inside + name.removeprefix(inside).partition(".")[0]
