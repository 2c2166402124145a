"""Latency is a time, taken of the network itself, after a warm-up."""

import torch
from torch import Tensor

from dlkd_core.evaluation import latency_ms
from dlkd_core.models import build


def test_the_latency_of_a_network_is_a_positive_time() -> None:
    module = build("resnet8", 10).module.eval()
    assert 0 < latency_ms(module, torch.rand(1, 3, 32, 32)) < 60_000


def test_one_image_at_a_time_is_timed_many_times_without_gradients() -> None:
    shown: list[tuple[int, ...]] = []

    def forward(image: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        shown.append(tuple(image.shape))
        return image

    latency_ms(forward, torch.rand(1, 3, 8, 8))
    assert set(shown) == {(1, 3, 8, 8)}
    assert len(shown) > 20
