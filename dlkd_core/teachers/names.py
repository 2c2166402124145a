"""Names and shapes of weights, compared across the habits of different code bases."""

import re
from collections.abc import Iterable

Shape = tuple[int, ...]

# The last layer, as networks here and elsewhere call it.
CLASSIFIERS = ("fc", "linear", "classifier", "head", "heads.head", "logits", "output", "last_linear", "fc_out")

# Layers for classes that stand beside the last one in some networks of timm (see `Network.companions`).
_COMPANIONS = {
    "head": ("head_dist", "aux_head"),
    "head.0": ("head.1",),
    "head.linear": ("head_dist.linear",),
    "head.head.l": ("head.head_dist.l",),
}
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")  # classifiers that GoogLeNet and Inception have for training only
_COMPUTED = ("num_batches_tracked", "relative_position_index", "relative_coords_table")  # not learnt; older files lack them
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d)\.")


def canonical(name: str) -> str:
    """One name for what several code bases call differently."""
    return _OLD_DENSENET.sub(r"\1\2.", name.replace(".shortcut.", ".downsample."))


def is_auxiliary(name: str) -> bool:
    """Of a part that is used in training only, and left out here."""
    return name.startswith(_AUXILIARY)


def is_learnt(name: str) -> bool:
    """Whether a file must hold it; the rest is counted or computed."""
    return not name.endswith(_COMPUTED)


def of_layer(name: str) -> tuple[str, str]:
    """A layer's weight and bias."""
    return f"{name}.weight", f"{name}.bias"


def of_classifier(name: str) -> tuple[str, ...]:
    """The weights and biases whose shapes follow the number of classes, of a network whose last layer has that name."""
    return tuple(weight for layer in (name, *_COMPANIONS.get(name, ())) for weight in of_layer(layer))


def some(names: Iterable[str], limit: int = 3) -> str:
    """How many there are, and the first few: `2 (fc.weight, fc.bias)`."""
    listed = list(names)
    dots = ", ..." if len(listed) > limit else ""
    return f"{len(listed)} ({', '.join(listed[:limit])}{dots})"
