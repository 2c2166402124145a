"""The paper's CIFAR networks, under the names of its table, and a wide ResNet of any size."""

from dlkd_core.catalog.architecture import Architecture, CifarResNetOptions, Options, WideResNetOptions

_REPDISTILLER = "https://github.com/HobbitLong/RepDistiller"
_MIN_SIZE = 4  # most run on a single pixel; nothing is to be learnt from that
_CIFAR_RESNETS = "resnet8 resnet14 resnet20 resnet32 resnet44 resnet56 resnet110 resnet8x4 resnet32x4"


def _paper(names: str, family: str, file: str, options: type[Options] = Options, min_size: int = _MIN_SIZE) -> list[Architecture]:
    target = f"dlkd_core.models.{file}:build"
    return [
        Architecture(name=name, family=family, target=target, options=options, min_size=min_size, source=_REPDISTILLER)
        for name in names.split()
    ]


PAPER: list[Architecture] = [
    *_paper(_CIFAR_RESNETS, "cifar_resnet", "cifar_resnet", CifarResNetOptions),
    *_paper("ResNet50", "cifar_bottleneck_resnet", "cifar_bottleneck_resnet"),
    *_paper("wrn_16_1 wrn_40_1 wrn_16_2 wrn_40_2", "wide_resnet", "wide_resnet"),
    *_paper("wrn", "wide_resnet", "wide_resnet", WideResNetOptions),
    *_paper("vgg8 vgg11 vgg13 vgg16 vgg19", "cifar_vgg", "cifar_vgg", min_size=8),
    *_paper("MobileNetV2", "cifar_mobilenet", "cifar_mobilenet"),
    *_paper("ShuffleV1 ShuffleV2", "cifar_shufflenet", "cifar_shufflenet"),
]
