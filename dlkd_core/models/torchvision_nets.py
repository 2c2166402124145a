"""torchvision's classifiers (https://docs.pytorch.org/vision/stable/models.html) under their own names and layers.

GoogLeNet and Inception are built without their auxiliary classifiers. The networks take images that are already normalised, so
`transform_input`, which torchvision sets beside its own weights of those two, stays off.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from torch import nn
from torchvision.models import WeightsEnum, get_model, get_model_weights

from dlkd_core.catalog.architectures import MobileNetV2Options, Options
from dlkd_core.errors import SpecError
from dlkd_core.models.network import Layout, Network
from dlkd_core.models.pretrained import Pretrained
from dlkd_core.spec import Normalization
from dlkd_core.teachers.names import canonical, is_auxiliary

_SETTINGS = {name: {"aux_logits": False, "init_weights": True} for name in ("googlenet", "inception_v3")}
_RESNET = ("layer1", "layer2", "layer3", "layer4")
_EVERY_OTHER = ("features.1", "features.3", "features.5", "features.7")  # a stage, its downsampling, a stage, ...
# Blocks by the start of the name; other families have a sequence of layers in which the stages are found.
_BLOCKS: dict[str, tuple[str, ...]] = {
    "resne": _RESNET,  # resnet, resnext
    "wide_resnet": _RESNET,
    "regnet": ("trunk_output.block1", "trunk_output.block2", "trunk_output.block3", "trunk_output.block4"),
    "densenet": ("features.denseblock1", "features.denseblock2", "features.denseblock3", "features.denseblock4"),
    "convnext": _EVERY_OTHER,
    "swin": _EVERY_OTHER,
    "maxvit": ("blocks.0", "blocks.1", "blocks.2", "blocks.3"),
    "shufflenet": ("stage2", "stage3", "stage4"),
    "googlenet": ("conv3", "inception3b", "inception4e", "inception5b"),
    "inception": ("Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e", "Mixed_7c"),
}
_LAYOUTS: dict[str, Layout] = {"swin": "NHWC"}


# The best weights, but where those are for another size of images than the network.
_WEIGHTS = {"vit_h_14": "IMAGENET1K_SWAG_LINEAR_V1"}
_HALF = (0.5, 0.5, 0.5)
_PORTED = ("googlenet", "inception_v3")  # from TensorFlow: torchvision's `transform_input` leads ImageNet's normalisation to this


def build(name: str, num_classes: int, options: Options) -> Network:
    """The network of that catalog name, without pretrained weights."""
    own = name.removeprefix("torchvision_")
    width = {"width_mult": options.width_mult} if isinstance(options, MobileNetV2Options) else {}
    module = get_model(own, weights=None, num_classes=num_classes, **width, **_SETTINGS.get(own, {}))
    return Network(module, _classifier(module), _blocks(own, module), _by_start(_LAYOUTS, own, "NCHW"))


def pretrained(name: str, options: Options) -> Pretrained:
    """The network with torchvision's weights, from torch's hub cache or the network. OSError where they are in neither."""
    if options != type(options)():
        raise SpecError(f"torchvision publishes weights of {name} without options alone.", hint="Leave the options out.")
    own = name.removeprefix("torchvision_")
    weights: WeightsEnum = get_model_weights(own)[_WEIGHTS.get(own, "DEFAULT")]
    state = weights.get_state_dict(progress=False, check_hash=True, map_location="cpu", weights_only=True)
    classes = len(weights.meta["categories"])
    network = build(name, classes, options)
    network.module.load_state_dict({canonical(key): tensor for key, tensor in state.items() if not is_auxiliary(key)})
    shown = weights.transforms()
    mean, std = (_HALF, _HALF) if own in _PORTED else (tuple(shown.mean), tuple(shown.std))
    return Pretrained(network, Normalization(mean=mean, std=std), classes)


def _by_start(table: dict[str, Any], name: str, default: Any) -> Any:
    return next((value for start, value in table.items() if name.startswith(start)), default)


def _classifier(module: nn.Module) -> str:
    """The last layer with weights: a linear one everywhere but in SqueezeNet, which has a convolution."""
    *_, last = (name for name, layer in module.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d))
    return str(last)


def _blocks(name: str, module: nn.Module) -> tuple[str, ...]:
    if name.startswith("vit"):
        return _quarters("encoder.layers", module)
    return _by_start(_BLOCKS, name, None) or _stages("layers" if name.startswith("mnasnet") else "features", module)


def _quarters(sequence: str, module: nn.Module) -> tuple[str, ...]:
    """Four layers of a sequence of equal ones, at a quarter, half, three quarters and the end."""
    names = [f"{sequence}.{name}" for name, _ in module.get_submodule(sequence).named_children()]
    return tuple(names[len(names) * quarter // 4 - 1] for quarter in (1, 2, 3, 4))


def _stages(sequence: str, module: nn.Module) -> tuple[str, ...]:
    """The layers of a sequence after which the maps become smaller, and its last one."""
    layers = [*module.get_submodule(sequence).named_children()]
    ends = [name for (name, _), (_, after) in pairwise(layers) if _shrinks(after)]
    last, layer = layers[-1]
    return tuple(f"{sequence}.{name}" for name in (ends if _shrinks(layer) else [*ends, last]))


def _shrinks(layer: nn.Module) -> bool:
    strides: Iterator[Any] = (part.stride for part in layer.modules() if isinstance(part, nn.Conv2d | nn.MaxPool2d))
    return any(stride not in (1, (1, 1)) for stride in strides)
