"""The CIFAR networks of the DLKD paper, named as in its tables, and a wide ResNet of any size."""

from dlkd_core.catalog.architectures.architecture import (
    DEFAULT_MIN_SIZE,
    Architecture,
    ArchitectureOptions,
    CifarResNetOptions,
    WideResNetOptions,
)

_REPDISTILLER = "https://github.com/HobbitLong/RepDistiller"
_CIFAR_RESNETS = (
    "resnet8 resnet14 resnet20 resnet32 resnet44 resnet56 resnet110 resnet8x4 resnet32x4"
)


def _build_entries(
    names: str,
    family: str,
    module: str,
    options: type[ArchitectureOptions] = ArchitectureOptions,
    min_size: int = DEFAULT_MIN_SIZE,
) -> list[Architecture]:
    return [
        Architecture(
            name=name,
            family=family,
            target=f"dlkd_core.models.cifar.{module}:build",
            options=options,
            min_size=min_size,
            source=_REPDISTILLER,
        )
        for name in names.split()
    ]


CIFAR_ARCHITECTURES: list[Architecture] = [
    *_build_entries(_CIFAR_RESNETS, "cifar_resnet", "resnet", CifarResNetOptions),
    *_build_entries("ResNet50", "cifar_bottleneck_resnet", "bottleneck_resnet"),
    *_build_entries("wrn_16_1 wrn_40_1 wrn_16_2 wrn_40_2", "wide_resnet", "wide_resnet"),
    *_build_entries("wrn", "wide_resnet", "wide_resnet", WideResNetOptions),
    *_build_entries("vgg8 vgg11 vgg13 vgg16 vgg19", "cifar_vgg", "vgg", min_size=8),
    *_build_entries("MobileNetV2", "cifar_mobilenet", "mobilenet"),
    *_build_entries("ShuffleV1 ShuffleV2", "cifar_shufflenet", "shufflenet"),
]
