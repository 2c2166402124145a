"""timm's classifiers (https://huggingface.co/docs/timm) under their own names and layers, with "timm/" before them.

Blocks are those of timm's own `feature_info`: the last of each resolution, four at most, or the quarters of a network that keeps
one resolution. Backbones that timm makes without a classifier (DINOv2, DINOv3, SigLIP, ...) get one. Left out are CLIP's ResNets,
whose classifier is a part of their pooling, and EfficientViM, which has eight.
"""

from collections.abc import Sequence
from typing import Any

import timm
from torch import nn

from dlkd_core.catalog.architectures import ResizableOptions
from dlkd_core.catalog.timm_names import TIMM_NAMES
from dlkd_core.frozen import Frozen
from dlkd_core.models.network import Layout, Network
from dlkd_core.models.pretrained import Pretrained
from dlkd_core.spec import Normalization

_MOST_BLOCKS = 4


def build(name: str, num_classes: int, options: Frozen) -> Network:
    """The network of that catalog name, without pretrained weights."""
    facts = TIMM_NAMES[name.removeprefix("timm/")]
    return assemble(create(name, options, num_classes=num_classes), maps=facts.maps)


def pretrained(name: str, options: Frozen) -> Pretrained:
    """The network with timm's weights, from the Hugging Face hub's cache or the network. OSError where they are in neither."""
    module = create(name, options, pretrained=True)
    told = module.pretrained_cfg
    if not told["num_classes"]:
        module.reset_classifier(1)
    network = assemble(module, maps=TIMM_NAMES[name.removeprefix("timm/")].maps)
    return Pretrained(network, Normalization(mean=told["mean"], std=told["std"]), told["num_classes"])


def create(name: str, options: Frozen, **settings: Any) -> Any:
    """`timm.create_model`, a module with attributes of timm's, for images of the size in the options."""
    side = options.image_size if isinstance(options, ResizableOptions) else None
    size: dict[str, Any] = {} if side is None else {"img_size": side}
    return timm.create_model(name.removeprefix("timm/"), **size, **settings)


def assemble(module: Any, *, maps: bool) -> Network:
    """The layers that distillation looks at; no blocks where they give no `maps`."""
    blocks = stages(module) if maps else ()
    layout: Layout = "NHWC" if getattr(module, "output_fmt", None) == "NHWC" else "NCHW"
    told = module.default_cfg["classifier"]
    first, *others = (told,) if isinstance(told, str) else told
    return Network(module, first, blocks, layout, getattr(module, "num_prefix_tokens", 0), tuple(others))


def stages(module: nn.Module) -> tuple[str, ...]:
    """Blocks by `feature_info`, shallow to deep; none where timm knows of none."""
    info = [(part["module"], part["reduction"]) for part in getattr(module, "feature_info", None) or [] if part.get("module")]
    known = {name for name, _ in module.named_modules()}
    info = [(name, reduction) for name, reduction in info if name in known]
    if len({reduction for _, reduction in info}) <= 1:
        return quarters([name for name, _ in info])
    deepest = {reduction: name for name, reduction in info}  # the last of each
    return tuple(dict.fromkeys(list(deepest.values())[-_MOST_BLOCKS:]))


def quarters(names: Sequence[str]) -> tuple[str, ...]:
    """Four of a sequence of equal layers, at a quarter, half, three quarters and the end; all where there are fewer."""
    count = len(names)
    places = (
        [count * quarter // _MOST_BLOCKS - 1 for quarter in range(1, _MOST_BLOCKS + 1)] if count > _MOST_BLOCKS else range(count)
    )
    return tuple(names[place] for place in places)
