"""Tests for the resampling of the choice of a normalization."""

import pytest
import torch

from benchmarks.normalization_choice import Answers, LayerSums, _choose_once, _Recorder
from dlkd_core.teachers.normalization_choice import measure_mismatch


def test_the_mismatch_of_a_resample_is_that_of_running_its_images() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).eval()
    images, rows = torch.randint(256, (20, 3, 8, 8), dtype=torch.uint8), torch.randint(20, (30,))
    with torch.no_grad(), _Recorder(network) as recorder:
        network(images[:12].float() / 255)
        network(images[12:].float() / 255)
    (layer,) = recorder.layers()
    expected = measure_mismatch(network, network, images[rows])
    assert layer.mismatch(rows) == pytest.approx(expected, rel=1e-5)


def test_batch_statistics_decide_between_equal_losses() -> None:
    losses = torch.rand(50)
    answers = {
        "far": Answers(losses, losses, [_layer(stored_mean=5.0)]),
        "near": Answers(losses, losses, [_layer(stored_mean=0.0)]),
    }
    assert _choose_once(answers, {}, torch.Generator().manual_seed(0)) == "near"


def _layer(stored_mean: float) -> LayerSums:
    values = torch.randn(50, 1, 16, dtype=torch.float64)
    return LayerSums(
        values.sum(dim=2),
        values.square().sum(dim=2),
        16,
        torch.tensor([stored_mean], dtype=torch.float64),
        torch.ones(1, dtype=torch.float64),
    )
