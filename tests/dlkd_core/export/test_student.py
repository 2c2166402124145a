"""A student on its own."""

import torch

from dlkd_core.export import Work
from dlkd_core.models import Tapped


def test_a_deployable_student_normalises_plain_images_itself(work: Work) -> None:
    images = torch.rand(5, 3, 8, 8)
    normalization = work.student.normalization
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (normalization.mean, normalization.std))
    network = work.student.network()
    logits = work.student.deployable()(images)
    assert logits.std(dim=0).min() > 1e-4  # other images, other logits
    torch.testing.assert_close(logits, network.module((images - mean) / std))
    torch.testing.assert_close(logits, Tapped(network, normalization.mean, normalization.std).eval().logits(images))


def test_a_student_leaves_the_callers_random_numbers_alone_and_its_networks_share_nothing(work: Work) -> None:
    before = torch.get_rng_state()
    one, other = work.student.deployable(), work.student.deployable()
    assert torch.equal(torch.get_rng_state(), before)
    with torch.no_grad():
        for weight in one.parameters():
            weight.zero_()
    assert all(torch.equal(tensor, work.student.weights[name]) for name, tensor in other.network.state_dict().items())
    assert not any(module.training for module in other.modules())
