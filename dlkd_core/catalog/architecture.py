"""What an entry for a network holds. Installed packages bring entries of their own: see `installed`."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from dlkd_core.frozen import Frozen


class Options(Frozen):
    """A network without options."""


class CifarResNetOptions(Options):
    """Options of the CIFAR ResNets."""

    shortcut: Literal["conv", "pad"] = Field(
        "conv",
        description="conv: 1x1 convolution where the shape changes (RepDistiller); pad: without parameters (He et al., option A)",
    )
    width: int = Field(1, ge=1, le=16, description="Channels, in those of the network's name")


class WideResNetOptions(Options):
    """Options of a wide ResNet of any size; the default is WRN-28-10."""

    depth: int = Field(28, ge=10, le=1000, description="Layers: 4 more than a multiple of 6")
    widen_factor: int = Field(10, ge=1, le=20, description="Channels, in those of a ResNet")


class MobileNetV2Options(Options):
    """Options of torchvision's MobileNetV2."""

    width_mult: float = Field(1.0, ge=0.1, le=4, description="Channels, in those of the published network")


class ResizableOptions(Options):
    """Options of networks that are made for images of one side, which can be chosen."""

    image_size: int | None = Field(None, ge=4, le=4096, description="Side of the images; left out: that of the data set's images")


class Architecture(Frozen):
    """A network that a spec can name.

    `target` builds it: ``module:function(name, num_classes, options) -> Network``. `weights` brings the published one, if there
    is one: ``module:function(name, options) -> Pretrained``.
    """

    name: str
    family: str
    target: str
    options: type[Options] = Options
    min_size: int = Field(4, description="Smallest image side, in pixels")
    max_size: int | None = Field(None, description="Largest image side, where there is one; the same as min_size: only that one")
    side: int | None = Field(None, description="Side of the images that it was made for, in pixels, where that can be chosen")
    source: str = ""
    weights: str | None = None

    @property
    def resizable(self) -> bool:
        """Whether it is made for the size of its images."""
        return issubclass(self.options, ResizableOptions)

    def sized(self, options: Mapping[str, Any], size: tuple[int, int]) -> dict[str, Any]:
        """The options for images of that height and width: the image size is filled in where it is left out."""
        if not self.resizable or options.get("image_size") is not None:
            return dict(options)
        return {**options, "image_size": max(size)}

    def misfit(self, options: Mapping[str, Any], size: tuple[int, int]) -> str | None:
        """Why it does not take images of that height and width, in words; None where it does."""
        only = options.get("image_size") or (max(size) if self.resizable else None)
        if min(size) < self.min_size:
            return f"{self.name} takes images of at least {self.min_size} pixels; these have {min(size)}"
        if self.max_size is not None and max(size) > self.max_size:
            return f"{self.name} takes images of at most {self.max_size} pixels; these have {max(size)}"
        if only is not None and size != (only, only):
            return f"{self.name} is made for images of {only} x {only} pixels; these have {size[0]} x {size[1]}"
        return None
