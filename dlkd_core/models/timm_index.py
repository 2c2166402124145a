"""What `dlkd_core/catalog/timm.json` says of the installed timm: run this file as a module to write it anew (some minutes).

Each network is made and run on the meta device, at growing sizes, so that nothing is known of it by hearsay. Left out are those
that are no classifiers, that have several classifier layers, or that cannot be shown an image of three channels.
"""

import json
import warnings
from collections.abc import Iterator
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

_SIDES = (8, 16, 32, 48, 64, 96, 112, 128, 160, 192, 224, 256, 288)
# What a network can answer to a size, or to the meta device, that it is not made for.
_REFUSALS = (RuntimeError, ValueError, TypeError, AssertionError, LookupError, ArithmeticError, AttributeError, SpecError)


def index_text() -> str:
    """The file's content: one line for each network."""
    found = {name: facts(name) for name in names()}
    lines = [f"{json.dumps(name)}: {json.dumps(facts)}" for name, facts in found.items() if facts]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def names() -> Iterator[str]:
    """Timm's networks with one classifier layer by default."""
    for name in timm.list_models():
        cfg = timm.get_pretrained_cfg(name)
        if cfg and cfg.num_classes and isinstance(cfg.classifier, str) and cfg.input_size[0] == 3:
            yield name


def facts(name: str) -> TimmFacts | None:
    """What is found by running it; None where it does not run, or its classifier does not see features."""
    cfg: Any = timm.get_pretrained_cfg(name)
    side = cfg.input_size[1]
    usual = _made(name, None)
    if usual is None or not isinstance(usual.module.get_submodule(usual.classifier), nn.Linear | nn.Conv2d):
        return None
    maps = _runs(usual, side)
    if not maps and not _runs(_bare(usual), side):
        return None
    smaller = [smaller for smaller in _SIDES if smaller < side]
    any_size = next((small for small in smaller if _runs(_bare(usual), small)), None)
    given = None if any_size else next((small for small in smaller if _runs(_made(name, small), small)), None)
    takes: Literal["any", "given", "one"] = "any" if any_size else "given" if given else "one"
    layer = usual.module.get_submodule(usual.classifier)
    parameters = sum(one.numel() for one in usual.module.parameters()) - sum(one.numel() for one in layer.parameters())
    return TimmFacts(side, any_size or given or side, takes, bool(cfg.has_weights), parameters, maps)


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
