"""The networks, by name: the paper's CIFAR networks under the names of its table, torchvision's classifiers under theirs."""

from difflib import get_close_matches
from functools import cache
from typing import Literal

from pydantic import Field

from dlkd_core.errors import UnknownChoice
from dlkd_core.frozen import Frozen


class Options(Frozen):
    """A network without options."""


class CifarResNetOptions(Options):
    """Options of the CIFAR ResNets."""

    shortcut: Literal["conv", "pad"] = Field(
        "conv",
        description="conv: 1x1 convolution where the shape changes (RepDistiller); pad: without parameters (He et al., option A)",
    )


class Architecture(Frozen):
    """A network that a spec can name. `target` builds it: ``module:function(name, num_classes, options) -> Network``."""

    name: str
    family: str
    target: str
    options: type[Options] = Options
    min_size: int = Field(4, description="Smallest image side, in pixels")
    max_size: int | None = Field(None, description="Largest image side, where there is one; the same as min_size: only that one")
    source: str = ""


_REPDISTILLER = "https://github.com/HobbitLong/RepDistiller"
_MIN_SIZE = 4  # most run on a single pixel; nothing is to be learnt from that
_TORCHVISION = "https://docs.pytorch.org/vision/stable/models.html"


def _paper(names: str, family: str, file: str, options: type[Options] = Options, min_size: int = _MIN_SIZE) -> list[Architecture]:
    target = f"dlkd_core.models.{file}:build"
    return [
        Architecture(name=name, family=family, target=target, options=options, min_size=min_size, source=_REPDISTILLER)
        for name in names.split()
    ]


_CIFAR_RESNETS = "resnet8 resnet14 resnet20 resnet32 resnet44 resnet56 resnet110 resnet8x4 resnet32x4"

# torchvision.models.list_models(module=torchvision.models), held to it by a test. A name that the paper's table
# also uses (vgg11, vgg13, vgg16, vgg19) means the paper's network; torchvision's then goes by "torchvision_" + name.
_TORCHVISION_NAMES = """
    alexnet convnext_base convnext_large convnext_small convnext_tiny densenet121 densenet161 densenet169 densenet201
    efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5 efficientnet_b6
    efficientnet_b7 efficientnet_v2_l efficientnet_v2_m efficientnet_v2_s googlenet inception_v3 maxvit_t mnasnet0_5
    mnasnet0_75 mnasnet1_0 mnasnet1_3 mobilenet_v2 mobilenet_v3_large mobilenet_v3_small regnet_x_16gf regnet_x_1_6gf
    regnet_x_32gf regnet_x_3_2gf regnet_x_400mf regnet_x_800mf regnet_x_8gf regnet_y_128gf regnet_y_16gf regnet_y_1_6gf
    regnet_y_32gf regnet_y_3_2gf regnet_y_400mf regnet_y_800mf regnet_y_8gf resnet101 resnet152 resnet18 resnet34 resnet50
    resnext101_32x8d resnext101_64x4d resnext50_32x4d shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5
    shufflenet_v2_x2_0 squeezenet1_0 squeezenet1_1 swin_b swin_s swin_t swin_v2_b swin_v2_s swin_v2_t vgg11 vgg11_bn vgg13
    vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn vit_b_16 vit_b_32 vit_h_14 vit_l_16 vit_l_32 wide_resnet101_2 wide_resnet50_2
"""

_PAPER: list[Architecture] = [
    *_paper(_CIFAR_RESNETS, "cifar_resnet", "cifar_resnet", CifarResNetOptions),
    *_paper("ResNet50", "cifar_bottleneck_resnet", "cifar_bottleneck_resnet"),
    *_paper("wrn_16_1 wrn_40_1 wrn_16_2 wrn_40_2", "wide_resnet", "wide_resnet"),
    *_paper("vgg8 vgg11 vgg13 vgg16 vgg19", "cifar_vgg", "cifar_vgg", min_size=8),
    *_paper("MobileNetV2", "cifar_mobilenet", "cifar_mobilenet"),
    *_paper("ShuffleV1 ShuffleV2", "cifar_shufflenet", "cifar_shufflenet"),
]


# Smallest sides by the start of the name; found by running them.
_TORCHVISION_SIZES = {
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
_ONE_SIZE = ("maxvit", "vit")  # their position tables are made for it


def _torchvision(name: str, taken: set[str]) -> Architecture:
    min_size = next((size for start, size in _TORCHVISION_SIZES.items() if name.startswith(start)), _MIN_SIZE)
    return Architecture(
        name=f"torchvision_{name}" if name in taken else name,
        family="torchvision",
        target="dlkd_core.models.torchvision_nets:build",
        min_size=min_size,
        max_size=min_size if name.startswith(_ONE_SIZE) else None,
        source=_TORCHVISION,
    )


_PAPER_NAMES = {entry.name for entry in _PAPER}
ARCHITECTURES: dict[str, Architecture] = {
    entry.name: entry for entry in [*_PAPER, *(_torchvision(name, _PAPER_NAMES) for name in _TORCHVISION_NAMES.split())]
}


@cache
def find_architecture(name: str) -> Architecture:
    """The entry of that name; `UnknownChoice` with the nearest names otherwise."""
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    near = get_close_matches(name, ARCHITECTURES, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    raise UnknownChoice(f"There is no architecture called {name!r}.", hint=hint + UnknownChoice.default_hint)
