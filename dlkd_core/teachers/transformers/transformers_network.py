"""The module that runs a network of transformers like the networks of the catalog."""

from inspect import signature

from torch import Tensor, nn

from dlkd_core.errors import ImagesDoNotFit
from dlkd_core.memory_limits import is_out_of_memory


class TransformersNetwork(nn.Module):
    """Maps normalized images (N, C, H, W) to logits (N, classes).

    Position encodings are interpolated for images of other sizes, if the network offers it.

    Args:
        model: An image classifier of transformers.
        sides: Height and width of the images for which it was built.
        flips_channels: Whether it takes blue, green and red instead of red, green and blue.
    """

    def __init__(
        self, model: nn.Module, sides: tuple[int, int], *, flips_channels: bool = False
    ) -> None:
        super().__init__()
        self.model = model
        self.sides, self._flips_channels = sides, flips_channels
        self._interpolates = "interpolate_pos_encoding" in signature(model.forward).parameters

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, (N, classes).

        Raises:
            ImagesDoNotFit: The network does not run on images of this size.
        """
        pixels = images.flip(1) if self._flips_channels else images
        is_own_size = tuple(images.shape[2:]) == self.sides
        interpolation = (
            {"interpolate_pos_encoding": True} if self._interpolates and not is_own_size else {}
        )
        try:
            logits: Tensor = self.model(pixel_values=pixels, **interpolation).logits
        except (ValueError, RuntimeError) as error:
            if is_own_size or is_out_of_memory(error):
                raise
            height, width = images.shape[2:]
            raise ImagesDoNotFit(
                f"The teacher does not run on images of {height} x {width} pixels: "
                f"{str(error).partition(chr(10))[0][:200]}.",
                hint=f"Set dataset.image_size to {self.sides[0]}, for which it was built.",
                pointer="/teacher",
            ) from error
        return logits
