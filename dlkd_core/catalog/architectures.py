"""The networks, by name: the paper's, torchvision's and timm's, and those that installed packages bring."""

from difflib import get_close_matches
from functools import cache

from dlkd_core.catalog.architecture import (
    Architecture,
    CifarResNetOptions,
    MobileNetV2Options,
    Options,
    ResizableOptions,
    WideResNetOptions,
)
from dlkd_core.catalog.installed import installed
from dlkd_core.catalog.paper import PAPER
from dlkd_core.catalog.timm_names import TIMM
from dlkd_core.catalog.torchvision_names import TORCHVISION
from dlkd_core.errors import UnknownChoice

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "CifarResNetOptions",
    "MobileNetV2Options",
    "Options",
    "ResizableOptions",
    "WideResNetOptions",
    "find_architecture",
]

ARCHITECTURES: dict[str, Architecture] = {entry.name: entry for entry in [*PAPER, *TORCHVISION, *TIMM]}
ARCHITECTURES |= {entry.name: entry for entry in installed(ARCHITECTURES)}


@cache
def find_architecture(name: str) -> Architecture:
    """The entry of that name; `UnknownChoice` with the nearest names otherwise."""
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    near = get_close_matches(name, ARCHITECTURES, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    raise UnknownChoice(f"There is no architecture called {name!r}.", hint=hint + UnknownChoice.default_hint)
