"""Catalog entries for architectures, and their options.

Installed packages can add entries; see `plugins`.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from dlkd_core.common import FrozenModel

# Families whose networks are recognized by stored fingerprints.
TORCHVISION_FAMILY = "torchvision"
TIMM_FAMILY = "timm"
# Each of these families contains all networks of a library. Both libraries have ResNets.
_LIBRARY_FAMILIES = {TORCHVISION_FAMILY, TIMM_FAMILY}
RGB_CHANNELS = 3
MAX_CHANNELS = 64
MAX_CLASSES = 1_000_000  # of a teacher and of a dataset
DEFAULT_MIN_SIZE = 4  # most networks run on a single pixel, but nothing can be learned from it


class ArchitectureOptions(FrozenModel):
    """Base class of architecture options. Architectures without options use it directly."""

    # Left out of JSON for RGB, so that specs and checkpoints are as they were before this option.
    in_channels: int = Field(
        RGB_CHANNELS,
        ge=1,
        le=MAX_CHANNELS,
        exclude_if=lambda channels: channels == RGB_CHANNELS,
        description="Number of channels of the images. Default: that of the job's images.",
    )


class CifarResNetOptions(ArchitectureOptions):
    """Options of the CIFAR ResNets."""

    shortcut: Literal["conv", "pad"] = Field(
        "conv",
        description="Shortcut where the shape changes. conv: 1x1 convolution (RepDistiller); pad:"
        " zero padding without parameters (He et al., option A).",
    )
    width: int = Field(1, ge=1, le=16, description="Multiplier for the number of channels")


class WideResNetOptions(ArchitectureOptions):
    """Options of a wide ResNet of any depth and width. The default is WRN-28-10."""

    depth: int = Field(28, ge=10, le=1000, description="Number of layers: a multiple of 6, plus 4")
    widen_factor: int = Field(
        10, ge=1, le=20, description="Multiplier for the number of channels of a ResNet"
    )


class ResNetOptions(ArchitectureOptions):
    """Options of torchvision's ResNets, ResNeXts and wide ResNets."""

    stem: Literal["imagenet", "cifar"] = Field(
        "imagenet",
        description="First layers. imagenet: 7x7 convolution with stride 2, and max pooling; cifar:"
        " 3x3 convolution with stride 1, without pooling, for small images.",
    )


class MobileNetV2Options(ArchitectureOptions):
    """Options of torchvision's MobileNetV2."""

    width_mult: float = Field(
        1.0,
        ge=0.1,
        le=4,
        description="Multiplier for the number of channels of the published network",
    )


class ResizableOptions(ArchitectureOptions):
    """Options of networks that can be built for any image size, but then accept only that size."""

    image_size: int | None = Field(
        None,
        ge=4,
        le=4096,
        description="Height and width of the images in pixels. Default: the size of the"
        " dataset's images.",
    )


class Architecture(FrozenModel):
    """A network that a spec can name.

    `target` names the function that builds the network:
    ``module:function(name, num_classes, options) -> Network``.
    `weights_target` names the function that builds it with published weights, if there are any:
    ``module:function(name, options) -> Pretrained``.
    """

    name: str
    family: str
    target: str
    options: type[ArchitectureOptions] = ArchitectureOptions
    min_size: int = Field(DEFAULT_MIN_SIZE, description="Smallest image height and width in pixels")
    max_size: int | None = Field(
        None,
        description="Largest image height and width in pixels, if limited. If equal to min_size,"
        " the network accepts only this size.",
    )
    default_image_size: int | None = Field(
        None,
        description="Default image height and width in pixels, for networks that can be built for"
        " any size",
    )
    source: str = ""
    weights_target: str | None = None

    @property
    def is_resizable(self) -> bool:
        """Whether the image size for which the network is built can be chosen."""
        return issubclass(self.options, ResizableOptions)

    def may_inherit_from(self, teacher: "Architecture") -> bool:
        """Return whether this network, as a student, may be able to inherit a teacher's weights.

        For two networks from libraries, this is certain only after they are built.
        """
        families = {self.family, teacher.family}
        return len(families) == 1 or families <= _LIBRARY_FAMILIES

    def with_images(
        self, options: Mapping[str, Any], size: tuple[int, int], channels: int
    ) -> dict[str, Any]:
        """Return the options for images of this height, width and number of channels.

        An option that is already set is kept.
        """
        completed = self.with_image_size(options, size)
        if channels != RGB_CHANNELS:
            completed.setdefault("in_channels", channels)
        return completed

    def with_image_size(self, options: Mapping[str, Any], size: tuple[int, int]) -> dict[str, Any]:
        """Return the options, with a missing image size filled in.

        `size` is the height and width of the images.
        """
        if not self.is_resizable or options.get("image_size") is not None:
            return dict(options)
        return {**options, "image_size": max(size)}

    def describe_size_mismatch(
        self, options: Mapping[str, Any], size: tuple[int, int]
    ) -> str | None:
        """Return why the network rejects images of this size, or None if it accepts them.

        `size` is the height and width of the images.
        """
        fixed_size = options.get("image_size") or (max(size) if self.is_resizable else None)
        if min(size) < self.min_size:
            return (
                f"{self.name} needs images of at least {self.min_size} pixels, but these have"
                f" {min(size)}"
            )
        if self.max_size is not None and max(size) > self.max_size:
            return (
                f"{self.name} accepts images of at most {self.max_size} pixels, but these have"
                f" {max(size)}"
            )
        if fixed_size is not None and size != (fixed_size, fixed_size):
            return (
                f"{self.name} is built for images of {fixed_size} x {fixed_size} pixels, but these"
                f" have {size[0]} x {size[1]}"
            )
        return None
