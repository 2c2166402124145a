"""Architectures by name, from the DLKD paper, torchvision, timm and installed packages."""

from difflib import get_close_matches
from functools import cache

from dlkd_core.catalog.architectures.architecture import (
    Architecture,
    ArchitectureOptions,
    CifarResNetOptions,
    MobileNetV2Options,
    ResizableOptions,
    ResNetOptions,
    WideResNetOptions,
)
from dlkd_core.catalog.architectures.cifar_architectures import CIFAR_ARCHITECTURES
from dlkd_core.catalog.architectures.plugins import load_installed_architectures
from dlkd_core.catalog.architectures.timm_architectures import (
    TIMM_ARCHITECTURES,
    TIMM_PREFIX,
)
from dlkd_core.catalog.architectures.torchvision_architectures import TORCHVISION_ARCHITECTURES
from dlkd_core.errors import UnknownChoice

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "ArchitectureOptions",
    "CifarResNetOptions",
    "MobileNetV2Options",
    "ResNetOptions",
    "ResizableOptions",
    "WideResNetOptions",
    "find_architecture",
]

ARCHITECTURES: dict[str, Architecture] = {
    entry.name: entry
    for entry in [*CIFAR_ARCHITECTURES, *TORCHVISION_ARCHITECTURES, *TIMM_ARCHITECTURES]
}
ARCHITECTURES |= {entry.name: entry for entry in load_installed_architectures(ARCHITECTURES)}


@cache
def find_architecture(name: str) -> Architecture:
    """Return the architecture with the given name.

    The tag of a set of timm's weights and the prefix of the Hugging Face Hub are ignored, as in
    `hf-hub:timm/resnet18.a1_in1k`.

    Raises:
        UnknownChoice: No architecture has this name. The hint suggests the closest names.
    """
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    model, _, tag = name.rpartition(":")[2].removeprefix(TIMM_PREFIX).partition(".")
    if (tag or ":" in name) and f"{TIMM_PREFIX}{model}" in ARCHITECTURES:
        return ARCHITECTURES[f"{TIMM_PREFIX}{model}"]
    suggestions = get_close_matches(name, ARCHITECTURES, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(suggestions)}? " if suggestions else ""
    raise UnknownChoice(
        f"There is no architecture called {name!r}.", hint=hint + UnknownChoice.default_hint
    )
