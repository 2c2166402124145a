"""Tests for loading a trained student without the training run."""

import torch

from dlkd_core.export import ExportContext
from dlkd_core.models import FeatureExtractor


def test_a_deployable_student_normalizes_images_itself(context: ExportContext) -> None:
    images = torch.rand(5, 3, 8, 8)
    normalization = context.student.normalization
    mean, std = (
        torch.tensor(values).view(3, 1, 1) for values in (normalization.mean, normalization.std)
    )
    network = context.student.build_network()
    logits = context.student.build_deployable()(images)
    assert logits.std(dim=0).min() > 1e-4  # the logits differ between images
    torch.testing.assert_close(logits, network.module((images - mean) / std))
    torch.testing.assert_close(
        logits,
        FeatureExtractor(network, normalization.mean, normalization.std).eval().logits(images),
    )


def test_building_keeps_the_random_state_and_networks_share_no_weights(
    context: ExportContext,
) -> None:
    before = torch.get_rng_state()
    one, other = context.student.build_deployable(), context.student.build_deployable()
    assert torch.equal(torch.get_rng_state(), before)
    with torch.no_grad():
        for weight in one.parameters():
            weight.zero_()
    assert all(
        torch.equal(tensor, context.student.weights[name])
        for name, tensor in other.network.state_dict().items()
    )
    assert not any(module.training for module in other.modules())
