"""Search for a known network inside a checkpoint that contains more than this network.

The network's weights may have a prefix. The checkpoint may also contain losses, metrics and
counters, and the classifier may have an unusual name, such as `fc.1` after a dropout layer, or be
outside the prefix, such as `head` beside `encoder`. A final layer is recognized as the classifier
if it is the only other layer and takes the network's features as input.

Self-supervised checkpoints contain heads that are no classifiers. MoCo stores the
query encoder under `encoder_q` and the key encoder under `encoder_k`. BYOL uses `online_...` and
`target_...`, DINO uses `student` and `teacher`, SimCLR uses `encoder` or `backbone`. SwAV adds
`projection_head` and `prototypes` to the layers. The search ignores such heads: it looks for the
layers of the network itself and lists all other tensors as ignored.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from dlkd_core.models.meta_network import build_meta_network
from dlkd_core.models.parameter_names import classifier_weights, is_auxiliary, layer_weights
from dlkd_core.teachers.recognition.channel_search import find_variant
from dlkd_core.teachers.recognition.fingerprints import Fingerprint

_MAX_PREFIX_DEPTH = 3  # maximum number of name components in a prefix
_MIN_TENSORS = 8  # minimum number of tensors under a prefix
_PREFERRED_PREFIXES = ("encoder_q", "online", "teacher")  # the encoders that these methods publish
# Moving averages that the authors of these methods discard.
_MOMENTUM_PREFIXES = ("encoder_k", "momentum", "target")
# Parts of the names of layers that take features as input but are no classifiers
_HEAD_WORDS = ("proj", "prototype", "predictor", "queue", "decoder", "embed")


@dataclass(frozen=True)
class Backbone:
    """A known network found in a checkpoint.

    Attributes:
        variant: The architecture and options that the layers belong to.
        prefix: Prefix of the layers in the file.
        tensors: The network's tensors, under names without the prefix. The weights of the
            classifier have the names that the network uses.
        classifier: Name of the classifier in the file, or None if there is none.
        ignored: Names of all other tensors in the file.
    """

    variant: Fingerprint
    prefix: str
    tensors: dict[str, Tensor]
    classifier: str | None
    ignored: tuple[str, ...]

    @property
    def is_whole_file(self) -> bool:
        """Whether the file holds only this network, with the classifier in its usual place."""
        place = ".".join(filter(None, [self.prefix, self.variant.classifier]))
        return self.classifier == place and not self.ignored

    def describe(self) -> str:
        """Return a sentence that says which tensors were used and which were ignored."""
        counts = Counter(_group_name(name, self.prefix) for name in self.ignored)
        groups = ", ".join(f"{name} ({count})" for name, count in counts.items())
        location = f" under {self.prefix}" if self.prefix else ""
        ignored = f" Ignored tensors: {groups}." if groups else ""
        network = f"The checkpoint holds the layers of {self.variant.architecture}{location}"
        if self.classifier:
            return f"{network}. Its classifier is {self.classifier}.{ignored}"
        return f"{network} without a classifier. The student learns from its features.{ignored}"


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
            used = {prefix + name: name for name in layers}
            classifier = _find_classifier(tensors, prefix, set(used), variant)
            if classifier:
                own_names = layer_weights(variant.classifier)
                renamed = zip(layer_weights(classifier), own_names, strict=True)
                used |= {name: own_name for name, own_name in renamed if name in tensors}
                used |= {
                    prefix + name: name
                    for name in classifier_weights(variant.classifier)
                    if name not in own_names and prefix + name in tensors
                }
            return Backbone(
                variant=variant,
                prefix=prefix.rstrip("."),
                tensors={own_name: tensors[name] for name, own_name in used.items()},
                classifier=classifier,
                ignored=tuple(name for name in tensors if name not in used),
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
            variant = find_variant(shapes, classifier, group)
            if variant:
                return variant, layers
    return None


def _find_classifier(
    tensors: Mapping[str, Tensor], prefix: str, used: set[str], variant: Fingerprint
) -> str | None:
    """Return the classifier's name in the file, or None if it may as well be another head.

    The classifier has the network's own name and place, or is the only other layer in the file. In
    both cases, there is no further layer, and the classifier takes the network's features as input.
    """
    if _prefix_rank(prefix):
        return None  # an encoder of a self-supervised method, whose heads are no classifiers
    others = {
        name
        for name, tensor in tensors.items()
        if name not in used
        and tensor.dim() >= 2
        and tensor.is_floating_point()
        and not is_auxiliary(name.removeprefix(prefix))
    }
    own = {prefix + name for name in classifier_weights(variant.classifier)}
    own_classifier = f"{prefix}{variant.classifier}"
    if f"{own_classifier}.weight" in others and others <= own:
        return own_classifier
    if len(others) != 1:
        return None
    (weight,) = others
    layer = weight.removesuffix(".weight")
    if layer == weight or any(word in layer.lower() for word in _HEAD_WORDS):
        return None
    network = build_meta_network(variant.architecture, 2, variant.options)
    expected = network.module.state_dict().get(f"{network.classifier}.weight")
    fits = expected is not None and expected.shape[1:] == tensors[weight].shape[1:]
    return layer if fits else None


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
