"""Search for networks that take images with another number of channels than RGB images.

The fingerprints are those of networks for RGB images. The same network for other images differs in
the shape of the convolution that takes the images.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import prod

from dlkd_core.catalog.architectures.architecture import MAX_CHANNELS, RGB_CHANNELS
from dlkd_core.models.parameter_names import Shape
from dlkd_core.teachers.recognition.fingerprints import Fingerprint, compute_digest, count_values


def find_variant(
    shapes: Mapping[str, Shape], classifier: str, by_digest: Mapping[str, Fingerprint]
) -> Fingerprint | None:
    """Return the variant with these names and shapes, or None if there is none.

    If only the number of input channels differs, the variant's options state the number in the
    file.
    """
    variant = by_digest.get(compute_digest(shapes, classifier))
    if variant is not None:
        return variant
    # The number of values rules out nearly all convolutions, for which no digest is computed.
    known_counts = {variant.values for variant in by_digest.values()}
    num_values = count_values(shapes, classifier)
    for name, channels in possible_stems(shapes):
        outputs, _, *kernel = shapes[name]
        if num_values + outputs * prod(kernel) * (RGB_CHANNELS - channels) not in known_counts:
            continue
        for_rgb = {**shapes, name: (outputs, RGB_CHANNELS, *kernel)}
        variant = by_digest.get(compute_digest(for_rgb, classifier))
        if variant is not None:
            return replace(variant, options={**variant.options, "in_channels": channels})
    return None


def possible_stems(shapes: Mapping[str, Shape]) -> list[tuple[str, int]]:
    """Return the convolutions that may take images, with their number of input channels.

    There are none if a convolution takes RGB images.
    """
    counts = {name: shape[1] for name, shape in shapes.items() if len(shape) == 4}
    if RGB_CHANNELS in counts.values():
        return []
    return [(name, count) for name, count in counts.items() if count <= MAX_CHANNELS]
