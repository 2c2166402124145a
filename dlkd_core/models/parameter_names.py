"""Names of weights, and how they differ between code bases."""

import re
from collections.abc import Iterable

Shape = tuple[int, ...]

# names of the last layer in this and other code bases
CLASSIFIER_NAMES = (
    "fc",
    "linear",
    "classifier",
    "head",
    "heads.head",
    "logits",
    "output",
    "last_linear",
    "fc_out",
)

# Extra classifiers of some timm networks, keyed by the name of the last layer. See
# `Network.extra_classifiers`.
_EXTRA_CLASSIFIERS = {
    "head": ("head_dist", "aux_head"),
    "head.0": ("head.1",),
    "head.linear": ("head_dist.linear",),
    "head.head.l": ("head.head_dist.l",),
}
# classifiers of GoogLeNet and Inception that are used only for training
_AUXILIARY_PREFIXES = ("aux1.", "aux2.", "AuxLogits.")
# Computed instead of learned. Older files lack them.
_COMPUTED_SUFFIXES = (
    "num_batches_tracked",
    "relative_position_index",
    "relative_coords_table",
)
_OLD_DENSENET_NAME = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d)\.")


def canonical_name(name: str) -> str:
    """Return the common name of a weight that code bases name differently.

    `module` is left out, because it is also left out of the names in files, where DataParallel adds
    it.
    """
    name = name.replace(".module.", ".").replace(".shortcut.", ".downsample.")
    return _OLD_DENSENET_NAME.sub(r"\1\2.", name)


def is_auxiliary(name: str) -> bool:
    """Return whether a weight belongs to a classifier that is used only for training."""
    return name.startswith(_AUXILIARY_PREFIXES)


def is_learned(name: str) -> bool:
    """Return whether a tensor is learned and must therefore be in every checkpoint.

    All other tensors are counters or computed tables.
    """
    return not name.endswith(_COMPUTED_SUFFIXES)


def layer_weights(name: str) -> tuple[str, str]:
    """Return the names of a layer's weight and bias."""
    return f"{name}.weight", f"{name}.bias"


def classifier_weights(name: str) -> tuple[str, ...]:
    """Return the names of weights and biases whose shapes depend on the number of classes.

    `name` is the name of the network's last layer.
    """
    return tuple(
        weight
        for layer in (name, *_EXTRA_CLASSIFIERS.get(name, ()))
        for weight in layer_weights(layer)
    )


def summarize_names(names: Iterable[str], limit: int = 3) -> str:
    """Return the number of names and the first few: `2 (fc.weight, fc.bias)`."""
    listed = list(names)
    dots = ", ..." if len(listed) > limit else ""
    return f"{len(listed)} ({', '.join(listed[:limit])}{dots})"
