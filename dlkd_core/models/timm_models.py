"""timm image classifiers (https://huggingface.co/docs/timm).

Catalog names are timm's names with the prefix "timm/". Blocks are taken from timm's `feature_info`:
the last block of each resolution, at most four, or the block at each quarter of the depth if the
network has a single resolution.

Backbones that timm by default builds without a classifier (DINOv2, DINOv3, SigLIP, ...) get one.
The family excludes CLIP's ResNets, whose classifier is part of their pooling, and EfficientViM,
which has eight classifiers.
"""

from typing import Any

import timm
from torch import nn

from dlkd_core.catalog.architectures import ResizableOptions
from dlkd_core.catalog.architectures.timm_architectures import TIMM_MODEL_INFO
from dlkd_core.common import FrozenModel
from dlkd_core.models.network import MAX_BLOCKS, Network, TensorLayout, pick_quarters
from dlkd_core.models.pretrained_weights import PretrainedNetwork
from dlkd_core.spec import Normalization

_PREFIX = "timm/"


def build(name: str, num_classes: int, options: FrozenModel) -> Network:
    """Build a network by its catalog name, without pretrained weights."""
    info = TIMM_MODEL_INFO[name.removeprefix(_PREFIX)]
    module = create_timm_module(name, options, num_classes=num_classes)
    return wrap_timm_module(module, maps=info.has_feature_maps)


def build_pretrained(name: str, options: FrozenModel) -> PretrainedNetwork:
    """Build a network with timm's weights, from the Hugging Face Hub or its cache.

    Raises:
        OSError: the weights are not in the cache and cannot be downloaded.
    """
    info = TIMM_MODEL_INFO[name.removeprefix(_PREFIX)]
    module = create_timm_module(name, options, pretrained=True)
    config = module.pretrained_cfg
    if not config["num_classes"]:
        module.reset_classifier(1)
    return PretrainedNetwork(
        wrap_timm_module(module, maps=info.has_feature_maps),
        Normalization(mean=config["mean"], std=config["std"]),
        config["num_classes"],
    )


def create_timm_module(name: str, options: FrozenModel, **arguments: Any) -> Any:
    """Call `timm.create_model` for a catalog name, with the image size from `options`.

    Typed as Any because timm adds attributes to the module.
    """
    side = options.image_size if isinstance(options, ResizableOptions) else None
    size: dict[str, Any] = {} if side is None else {"img_size": side}
    return timm.create_model(name.removeprefix(_PREFIX), **size, **arguments)


def wrap_timm_module(module: Any, *, maps: bool) -> Network:
    """Wrap a timm module in a `Network` with the names of its layers.

    Set `maps` to false if the blocks return no feature maps. The result then names no blocks.
    """
    blocks = find_stages(module) if maps else ()
    layout: TensorLayout = "NHWC" if getattr(module, "output_fmt", None) == "NHWC" else "NCHW"
    names = module.default_cfg["classifier"]
    classifier, *others = (names,) if isinstance(names, str) else names
    return Network(
        module,
        classifier,
        blocks,
        layout,
        getattr(module, "num_prefix_tokens", 0),
        tuple(others),
    )


def find_stages(module: nn.Module) -> tuple[str, ...]:
    """Return the names of the blocks in timm's `feature_info`, if any, shallow to deep."""
    module_names = {name for name, _ in module.named_modules()}
    reductions = [
        (stage["module"], stage["reduction"])
        for stage in getattr(module, "feature_info", None) or []
        if stage.get("module") and stage["module"] in module_names
    ]
    if len({reduction for _, reduction in reductions}) <= 1:
        return pick_quarters([name for name, _ in reductions])
    last_of_each = {reduction: name for name, reduction in reductions}
    return tuple(dict.fromkeys(list(last_of_each.values())[-MAX_BLOCKS:]))
