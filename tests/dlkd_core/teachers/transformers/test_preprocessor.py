"""The stated normalization is what the image processors of transformers do."""

import json
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from dlkd_core.teachers.transformers.preprocessor import (
    flips_channels,
    read_image_side,
    read_normalization,
)

PROCESSORS: dict[str, dict[str, Any]] = {
    "ViTImageProcessor": {},
    "ConvNextImageProcessor": {"size": {"shortest_edge": 384}},
    "EfficientNetImageProcessor": {"include_top": True},
    "BeitImageProcessor": {"do_rescale": False, "image_mean": [127.5] * 3, "image_std": [60] * 3},
    "DeiTImageProcessor": {"do_normalize": False},
}


@pytest.mark.parametrize("name", PROCESSORS)
def test_the_normalization_is_that_of_the_image_processor(name: str) -> None:
    processor = getattr(transformers, name)(
        do_resize=False, do_center_crop=False, **PROCESSORS[name]
    )
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    expected = processor(torch.from_numpy(pixels), return_tensors="pt")["pixel_values"][0]
    normalization = read_normalization(json.loads(processor.to_json_string()), 3)
    assert normalization is not None
    mean, std = (
        torch.tensor(values).view(3, 1, 1) for values in (normalization.mean, normalization.std)
    )
    actual = (torch.from_numpy(pixels) / 255 - mean) / std
    torch.testing.assert_close(actual, expected.float(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("values", "side"),
    [
        ({"size": {"height": 224, "width": 224}}, 224),
        ({"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}}, 224),
        ({"size": 192}, 192),
        ({"size": 192, "crop_size": 160, "do_center_crop": False}, 192),
        ({}, None),
    ],
)
def test_the_image_side(values: dict[str, Any], side: int | None) -> None:
    assert read_image_side(values) == side


def test_what_is_not_stated_is_left_to_the_images() -> None:
    assert read_normalization({"size": 224}, 3) is None
    assert read_normalization({"image_mean": [0.5], "image_std": [0.5]}, 3) is None
    assert flips_channels({"do_flip_channel_order": True})
    assert not flips_channels({})
