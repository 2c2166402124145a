"""torchvision's classification networks, listed without importing torchvision."""

from dlkd_core.catalog.architectures.architecture import (
    DEFAULT_MIN_SIZE,
    TORCHVISION_FAMILY,
    Architecture,
    ArchitectureOptions,
    MobileNetV2Options,
    ResNetOptions,
)
from dlkd_core.catalog.architectures.cifar_architectures import CIFAR_ARCHITECTURES

_SOURCE = "https://docs.pytorch.org/vision/stable/models.html"

# torchvision.models.list_models(module=torchvision.models), checked by a test. A name that the
# paper also uses (vgg11, vgg13, vgg16, vgg19) refers to the paper's network, and torchvision's
# network gets the prefix "torchvision_".
_NAMES = """
    alexnet convnext_base convnext_large convnext_small convnext_tiny densenet121 densenet161
    densenet169 densenet201 efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3
    efficientnet_b4 efficientnet_b5 efficientnet_b6 efficientnet_b7 efficientnet_v2_l
    efficientnet_v2_m efficientnet_v2_s googlenet inception_v3 maxvit_t mnasnet0_5 mnasnet0_75
    mnasnet1_0 mnasnet1_3 mobilenet_v2 mobilenet_v3_large mobilenet_v3_small regnet_x_16gf
    regnet_x_1_6gf regnet_x_32gf regnet_x_3_2gf regnet_x_400mf regnet_x_800mf regnet_x_8gf
    regnet_y_128gf regnet_y_16gf regnet_y_1_6gf regnet_y_32gf regnet_y_3_2gf regnet_y_400mf
    regnet_y_800mf regnet_y_8gf resnet101 resnet152 resnet18 resnet34 resnet50 resnext101_32x8d
    resnext101_64x4d resnext50_32x4d shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5
    shufflenet_v2_x2_0 squeezenet1_0 squeezenet1_1 swin_b swin_s swin_t swin_v2_b swin_v2_s
    swin_v2_t vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn vit_b_16 vit_b_32
    vit_h_14 vit_l_16 vit_l_32 wide_resnet101_2 wide_resnet50_2
"""

# Smallest image sides by name prefix, measured by running the networks
_MIN_SIZES = {
    "alexnet": 63,
    "convnext": 32,
    "densenet": 29,
    "googlenet": 15,
    "inception_v3": 75,
    "maxvit": 224,
    "squeezenet1_0": 21,
    "squeezenet1_1": 17,
    "vgg": 32,
    "vit": 224,
}
_FIXED_SIZE_PREFIXES = ("maxvit", "vit")  # their position embeddings have a fixed size
_OPTIONS: dict[str, type[ArchitectureOptions]] = {"mobilenet_v2": MobileNetV2Options}
_RESNET_PREFIXES = ("resnet", "resnext", "wide_resnet")
_CIFAR_NAMES = {entry.name for entry in CIFAR_ARCHITECTURES}


def _get_options(name: str) -> type[ArchitectureOptions]:
    if name.startswith(_RESNET_PREFIXES):
        return ResNetOptions
    return _OPTIONS.get(name, ArchitectureOptions)


def _build_entry(name: str) -> Architecture:
    min_size = next(
        (size for prefix, size in _MIN_SIZES.items() if name.startswith(prefix)), DEFAULT_MIN_SIZE
    )
    return Architecture(
        name=f"torchvision_{name}" if name in _CIFAR_NAMES else name,
        family=TORCHVISION_FAMILY,
        target="dlkd_core.models.torchvision_models:build",
        options=_get_options(name),
        min_size=min_size,
        max_size=min_size if name.startswith(_FIXED_SIZE_PREFIXES) else None,
        source=_SOURCE,
        weights_target="dlkd_core.models.torchvision_models:build_pretrained",
    )


TORCHVISION_ARCHITECTURES: list[Architecture] = [_build_entry(name) for name in _NAMES.split()]
