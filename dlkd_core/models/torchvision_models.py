"""torchvision image classifiers (https://docs.pytorch.org/vision/stable/models.html).

Catalog names are torchvision's, with the prefix "torchvision_" if another family uses the name.
GoogLeNet and Inception are built without their auxiliary classifiers. torchvision also
enables `transform_input` for these two when it loads their weights. It stays off here, because the
networks take normalized images.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from torch import nn
from torchvision.models import WeightsEnum, get_model, get_model_weights

from dlkd_core.catalog.architectures import ArchitectureOptions, MobileNetV2Options, ResNetOptions
from dlkd_core.errors import SpecError
from dlkd_core.models.network import Network, TensorLayout, pick_quarters
from dlkd_core.models.parameter_names import canonical_name, is_auxiliary
from dlkd_core.models.pretrained_weights import PretrainedNetwork
from dlkd_core.spec import Normalization

_PREFIX = "torchvision_"
_BUILD_ARGUMENTS = {
    name: {"aux_logits": False, "init_weights": True} for name in ("googlenet", "inception_v3")
}
_RESNET_STAGES = ("layer1", "layer2", "layer3", "layer4")
# stages alternate with downsampling layers
_FEATURE_STAGES = ("features.1", "features.3", "features.5", "features.7")
# Blocks by name prefix. The other families have a sequence of layers, which `_find_stages` splits.
_BLOCKS: dict[str, tuple[str, ...]] = {
    "resne": _RESNET_STAGES,  # resnet, resnext
    "wide_resnet": _RESNET_STAGES,
    "regnet": (
        "trunk_output.block1",
        "trunk_output.block2",
        "trunk_output.block3",
        "trunk_output.block4",
    ),
    "densenet": (
        "features.denseblock1",
        "features.denseblock2",
        "features.denseblock3",
        "features.denseblock4",
    ),
    "convnext": _FEATURE_STAGES,
    "swin": _FEATURE_STAGES,
    "maxvit": ("blocks.0", "blocks.1", "blocks.2", "blocks.3"),
    "shufflenet": ("stage2", "stage3", "stage4"),
    "googlenet": ("conv3", "inception3b", "inception4e", "inception5b"),
    "inception": ("Conv2d_4a_3x3", "Mixed_5d", "Mixed_6e", "Mixed_7c"),
}
_LAYOUTS: dict[str, TensorLayout] = {"swin": "NHWC"}

# The default weights of these networks need a different image size.
_WEIGHT_OVERRIDES = {"vit_h_14": "IMAGENET1K_SWAG_LINEAR_V1"}
# These weights come from TensorFlow. torchvision's `transform_input` converts ImageNet's
# normalization to this one.
_TENSORFLOW_PORTS = ("googlenet", "inception_v3")
_INCEPTION_MEAN_STD = (0.5, 0.5, 0.5)


def build(name: str, num_classes: int, options: ArchitectureOptions) -> Network:
    """Build a network by its catalog name, without pretrained weights."""
    model_name = name.removeprefix(_PREFIX)
    width = {"width_mult": options.width_mult} if isinstance(options, MobileNetV2Options) else {}
    module = get_model(
        model_name,
        weights=None,
        num_classes=num_classes,
        **width,
        **_BUILD_ARGUMENTS.get(model_name, {}),
    )
    if isinstance(options, ResNetOptions) and options.stem == "cifar":
        _replace_stem(module)
    return Network(
        module,
        _find_classifier(module),
        _find_blocks(model_name, module),
        _lookup_by_prefix(_LAYOUTS, model_name, "NCHW"),
    )


def _replace_stem(module: Any) -> None:
    """Give a ResNet a stem for small images, initialized as in torchvision."""
    module.conv1 = nn.Conv2d(3, module.conv1.out_channels, 3, stride=1, padding=1, bias=False)
    nn.init.kaiming_normal_(module.conv1.weight, mode="fan_out", nonlinearity="relu")
    module.maxpool = nn.Identity()


def build_pretrained(name: str, options: ArchitectureOptions) -> PretrainedNetwork:
    """Build a network with torchvision's weights, downloading them if they are not cached.

    Raises:
        SpecError: torchvision publishes no weights for these options.
        OSError: the weights are not in the cache and cannot be downloaded.
    """
    if options != type(options)():
        raise SpecError(
            f"torchvision publishes weights of {name} only for the default options.",
            hint="Remove the options.",
        )
    model_name = name.removeprefix(_PREFIX)
    weights: WeightsEnum = get_model_weights(model_name)[
        _WEIGHT_OVERRIDES.get(model_name, "DEFAULT")
    ]
    state_dict = weights.get_state_dict(
        progress=False, check_hash=True, map_location="cpu", weights_only=True
    )
    num_classes = len(weights.meta["categories"])
    network = build(name, num_classes, options)
    network.module.load_state_dict(
        {canonical_name(key): tensor for key, tensor in state_dict.items() if not is_auxiliary(key)}
    )
    if model_name in _TENSORFLOW_PORTS:
        normalization = Normalization(mean=_INCEPTION_MEAN_STD, std=_INCEPTION_MEAN_STD)
    else:
        transforms = weights.transforms()
        normalization = Normalization(mean=tuple(transforms.mean), std=tuple(transforms.std))
    return PretrainedNetwork(network, normalization, num_classes)


def _lookup_by_prefix(by_prefix: dict[str, Any], name: str, default: Any) -> Any:
    return next((value for prefix, value in by_prefix.items() if name.startswith(prefix)), default)


def _find_classifier(module: nn.Module) -> str:
    """Return the name of the last layer with weights. In SqueezeNet, this is a convolution."""
    *_, last = (
        name for name, layer in module.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)
    )
    return str(last)


def _find_blocks(name: str, module: nn.Module) -> tuple[str, ...]:
    if name.startswith("vit"):
        layers = module.get_submodule("encoder.layers").named_children()
        return pick_quarters([f"encoder.layers.{layer}" for layer, _ in layers])
    sequence = "layers" if name.startswith("mnasnet") else "features"
    return _lookup_by_prefix(_BLOCKS, name, None) or _find_stages(sequence, module)


def _find_stages(sequence: str, module: nn.Module) -> tuple[str, ...]:
    """Return the names of the layers that precede a downsampling layer, and of the last layer."""
    layers = [*module.get_submodule(sequence).named_children()]
    ends = [name for (name, _), (_, after) in pairwise(layers) if _is_downsampling(after)]
    last_name, last_layer = layers[-1]
    if not _is_downsampling(last_layer):
        ends.append(last_name)
    return tuple(f"{sequence}.{name}" for name in ends)


def _is_downsampling(layer: nn.Module) -> bool:
    strides: Iterator[Any] = (
        part.stride for part in layer.modules() if isinstance(part, nn.Conv2d | nn.MaxPool2d)
    )
    return any(stride not in (1, (1, 1)) for stride in strides)
