"""Tests for factor transfer and its paraphraser."""

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from dlkd_core.catalog.feature_map_loss_params import FTParams
from dlkd_core.catalog.methods.published_methods import FT
from dlkd_core.losses.ft import FTLoss
from tests.dlkd_core.losses.conftest import TEACHER_WIDTH, BuildLoss, MakeOutputs, make_targets

TARGETS = make_targets(torch.tensor([0, 1, 0, 2]))


def test_factors_are_compared_as_attention_maps_of_unit_length(
    make_outputs: MakeOutputs,
) -> None:
    student, teacher = make_outputs(4).feature_maps[1], make_outputs(4, seed=3).feature_maps[1]
    a, b = (maps.square().mean(dim=1).flatten(1) for maps in (student, teacher))
    expected = (a / a.norm(dim=1, keepdim=True) - b / b.norm(dim=1, keepdim=True)).abs().mean()
    torch.testing.assert_close(FTLoss.compute_loss(student, teacher), expected)
    repeated_channels = teacher[:, [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]]
    torch.testing.assert_close(FTLoss.compute_loss(5 * student, repeated_channels), expected)
    assert FTLoss.compute_loss(student, -3 * student).item() == pytest.approx(0, abs=1e-7)


def test_the_paraphraser_only_learns_to_reconstruct_independently_of_the_weight(
    make_outputs: MakeOutputs, build_loss: BuildLoss
) -> None:
    student, teacher = make_outputs(4), make_outputs(4, TEACHER_WIDTH, seed=1)
    gradients = []
    for weight in (1.0, 200.0):
        loss = build_loss(FTParams(weight=weight), views=1)
        (weight * loss(student, teacher, TARGETS)).backward()
        gradients.append(
            [
                parameter.grad
                for part in (loss.encoder, loss.decoder)
                for parameter in part.parameters()
            ]
        )
    separate = build_loss(FTParams(), views=1)
    mse_loss(
        separate.decoder(separate.encoder(teacher.feature_maps[-1])), teacher.feature_maps[-1]
    ).backward()
    expected = [
        parameter.grad
        for part in (separate.encoder, separate.decoder)
        for parameter in part.parameters()
    ]
    for weighted in gradients:
        torch.testing.assert_close(weighted, expected)


def test_the_factor_has_half_the_teachers_channels(build_loss: BuildLoss) -> None:
    loss = build_loss(FTParams(), views=1)
    widths = [
        [layer.out_channels for layer in part if isinstance(layer, nn.Conv2d)]
        for part in (loss.translator, loss.encoder)
    ]
    assert widths == [[8, 5, 5], [11, 5, 5]]
    assert [
        layer.out_channels for layer in loss.decoder if isinstance(layer, nn.ConvTranspose2d)
    ] == [5, 11, 11]
    assert FT().active_terms()[1].weight == 200
