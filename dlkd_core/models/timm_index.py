"""What `dlkd_core/catalog/timm.json` says of the installed timm: run this file as a module to write it anew (some minutes).

Each network is made and run on the meta device, at growing sizes, so that nothing is known of it by hearsay. Left out are those
that have no layer for classes or more than two, whose classifier does not see features, or that cannot be shown an image of three
channels.
"""

import json
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Literal

import timm
import torch
from torch import nn

from dlkd_core.catalog.architectures import Options, ResizableOptions
from dlkd_core.catalog.timm_names import TIMM_FILE, TimmFacts
from dlkd_core.errors import SpecError
from dlkd_core.models.network import Network
from dlkd_core.models.skeleton import on_meta
from dlkd_core.models.tapped import Tapped
from dlkd_core.models.timm_nets import assemble, create

_MOST = 2  # layers for classes
_SIDES = (8, 16, 32, 48, 64, 96, 112, 128, 160, 192, 224, 256, 288)
# What a network can answer to a size, or to the meta device, that it is not made for.
_REFUSALS = (RuntimeError, ValueError, TypeError, AssertionError, LookupError, ArithmeticError, AttributeError, SpecError)


def index_text() -> str:
    """The file's content: one line for each network."""
    found = {name: facts(name) for name in names()}
    lines = [f"{json.dumps(name)}: {json.dumps(facts)}" for name, facts in found.items() if facts]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def names() -> Iterator[str]:
    """Timm's networks that can have a classifier: one layer, or two whose logits are put together."""
    for name in timm.list_models():
        cfg: Any = timm.get_pretrained_cfg(name)
        layers = cfg and cfg.classifier
        if layers and (isinstance(layers, str) or len(layers) <= _MOST) and cfg.input_size[0] == 3:
            yield name


def facts(name: str) -> TimmFacts | None:
    """What is found by running it; None where it does not run, or its classifier does not see features."""
    cfg: Any = timm.get_pretrained_cfg(name)
    side = cfg.input_size[1]
    usual = _made(name, None)
    if usual is None:
        return None
    modules = dict(usual.module.named_modules())
    layers = [modules.get(name, usual.module) for name in usual.classifiers]  # some encoders name one that they do not have
    if not all(isinstance(layer, nn.Linear | nn.Conv2d) for layer in layers):
        return None
    maps = _runs(usual, side)
    if not maps and not _runs(_bare(usual), side):
        return None
    smaller = [smaller for smaller in _SIDES if smaller < side]
    any_size = next((small for small in smaller if _runs_besides(_bare(usual), small, side)), None)
    given = None if any_size else next((small for small in smaller if _runs(_made(name, small), small)), None)
    takes: Literal["any", "given", "one"] = "any" if any_size else "given" if given else "one"
    return TimmFacts(side, any_size or given or side, takes, bool(cfg.has_weights), _backbone(usual.module, layers), maps)


def _backbone(module: nn.Module, layers: Iterable[nn.Module]) -> int:
    """Parameters without those of the layers for classes."""
    return _count(module) - sum(map(_count, layers))


def _count(module: nn.Module) -> int:
    return sum(one.numel() for one in module.parameters())


def _runs_besides(network: Network, small: int, side: int) -> bool:
    """At that side and at a larger one that it is not made for either: a table of places fits a single place by accident."""
    return _runs(network, small) and any(_runs(network, other) for other in _SIDES if small < other != side)


def _bare(network: Network) -> Network:
    return Network(network.module, network.classifier, ())


def _made(name: str, side: int | None) -> Network | None:
    options = Options() if side is None else ResizableOptions(image_size=side)
    with suppress(*_REFUSALS), on_meta():
        return assemble(create(name, options, pretrained=False, num_classes=2), maps=True)
    return None


def _runs(network: Network | None, side: int) -> bool:
    """Whether logits, features and maps of images of that side have the shapes that they should have."""
    if network is None:
        return False
    try:
        tapped = Tapped(network, (0, 0, 0), (1, 1, 1)).eval().to("meta")
        with torch.no_grad():
            outputs: Any = tapped(torch.zeros(2, 3, side, side, device="meta"))
    except _REFUSALS:
        return False
    shapes = outputs.logits.shape == (2, 2) and outputs.features.dim() == 2
    return shapes and all(one.dim() == 4 and len(one) == 2 for one in outputs.maps)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    TIMM_FILE.write_text(index_text())
