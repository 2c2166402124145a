"""Factor transfer, with a paraphraser that learns along."""

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from dlkd_core.catalog.comparisons import FT
from dlkd_core.catalog.terms import Factors
from dlkd_core.losses.ft import Factors as Module
from tests.dlkd_core.losses.conftest import TEACHER_WIDTH, Build, Make, targets

TARGETS = targets(torch.tensor([0, 1, 0, 2]))


def test_factors_are_compared_as_energies_of_unit_length_whatever_their_scale_and_channels(make: Make) -> None:
    ours, theirs = make(4).maps[1], make(4, seed=3).maps[1]
    a, b = (maps.square().mean(dim=1).flatten(1) for maps in (ours, theirs))
    expected = (a / a.norm(dim=1, keepdim=True) - b / b.norm(dim=1, keepdim=True)).abs().mean()
    torch.testing.assert_close(Module.between(ours, theirs), expected)
    torch.testing.assert_close(Module.between(5 * ours, theirs[:, [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]]), expected)
    assert Module.between(ours, -3 * ours).item() == pytest.approx(0, abs=1e-7)


def test_the_paraphraser_learns_to_reconstruct_and_nothing_else_at_a_rate_free_of_the_weight(make: Make, build: Build) -> None:
    student, teacher = make(4), make(4, TEACHER_WIDTH, seed=1)
    gradients = []
    for weight in (1.0, 200.0):
        term = build(Factors(weight=weight), views=1)
        (weight * term(student, teacher, TARGETS)).backward()
        gradients.append([parameter.grad for part in (term.encoder, term.decoder) for parameter in part.parameters()])
    alone = build(Factors(), views=1)
    mse_loss(alone.decoder(alone.encoder(teacher.maps[-1])), teacher.maps[-1]).backward()
    expected = [parameter.grad for part in (alone.encoder, alone.decoder) for parameter in part.parameters()]
    for found in gradients:
        torch.testing.assert_close(found, expected)


def test_the_factor_has_half_the_teachers_channels(build: Build) -> None:
    term = build(Factors(), views=1)
    widths = [[layer.out_channels for layer in part if isinstance(layer, nn.Conv2d)] for part in (term.translator, term.encoder)]
    assert widths == [[8, 5, 5], [11, 5, 5]]
    assert [layer.out_channels for layer in term.decoder if isinstance(layer, nn.ConvTranspose2d)] == [5, 11, 11]
    assert FT().weighted()[1].weight == 200
