"""Tests for measuring the latency of a network."""

import torch
from torch import Tensor

from dlkd_core.evaluation import measure_median_latency_ms
from dlkd_core.models import build_network


def test_the_latency_of_a_network_is_a_positive_time() -> None:
    module = build_network("resnet8", 10).module.eval()
    assert 0 < measure_median_latency_ms(module, torch.rand(1, 3, 32, 32)) < 60_000


def test_a_single_image_is_timed_repeatedly_without_gradients() -> None:
    shapes: list[tuple[int, ...]] = []

    def forward(image: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        shapes.append(tuple(image.shape))
        return image

    measure_median_latency_ms(forward, torch.rand(1, 3, 8, 8))
    assert set(shapes) == {(1, 3, 8, 8)}
    assert len(shapes) > 20
