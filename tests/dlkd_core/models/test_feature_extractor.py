"""Tests for the feature extractor."""

import copy
import gc
import io
import weakref

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from dlkd_core.models import FeatureExtractor, Network, build_network

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
IMAGES = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return build_network("resnet8", 10)


def test_the_classifier_maps_the_features_to_the_logits(network: Network) -> None:
    outputs = FeatureExtractor(network, MEAN, STD).eval()(IMAGES)
    torch.testing.assert_close(network.module.get_submodule("fc")(outputs.features), outputs.logits)
    torch.testing.assert_close(outputs.feature_maps[-1].mean(dim=(2, 3)), outputs.features)


def test_the_extractor_normalizes_its_images(network: Network) -> None:
    normalized = (IMAGES - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    network.module.eval()
    torch.testing.assert_close(
        FeatureExtractor(network, MEAN, STD).eval().logits(IMAGES), network.module(normalized)
    )


def test_a_deep_copy_captures_its_own_outputs(network: Network) -> None:
    extractor = FeatureExtractor(network, MEAN, STD).eval()
    copied = copy.deepcopy(extractor)
    with torch.no_grad():
        for weight in copied.parameters():
            weight.zero_()
    assert copied(IMAGES).features.abs().max() == 0
    assert extractor(IMAGES).features.abs().max() > 0


def test_two_extractors_of_one_network_do_not_interfere(network: Network) -> None:
    first = FeatureExtractor(network, MEAN, STD).eval()
    other = FeatureExtractor(network, (0, 0, 0), (1, 1, 1)).eval()
    before = first(IMAGES)
    assert not torch.equal(other(IMAGES).features, before.features)
    assert torch.equal(first(IMAGES).features, before.features)


def test_gradients_flow_from_features_and_maps_in_training_but_not_under_no_grad(
    network: Network,
) -> None:
    extractor = FeatureExtractor(network, MEAN, STD).train()
    outputs = extractor(IMAGES)
    (outputs.features.sum() + outputs.feature_maps[0].sum()).backward()
    first = network.module.get_submodule("conv1")
    assert isinstance(first.weight, nn.Parameter)
    assert first.weight.grad is not None
    with torch.no_grad():
        assert not extractor(IMAGES).features.requires_grad


def test_no_tensor_is_kept_alive_after_a_pass(network: Network) -> None:
    extractor = FeatureExtractor(network, MEAN, STD)
    features = weakref.ref(extractor(IMAGES).features)
    gc.collect()
    assert features() is None


def test_a_failed_pass_does_not_affect_the_next_one(network: Network) -> None:
    extractor = FeatureExtractor(network, MEAN, STD).eval()
    with pytest.raises(RuntimeError):
        extractor(torch.rand(1, 7, 32, 32))
    assert len(extractor(IMAGES).feature_maps) == 3


def test_tokens_and_channels_last_outputs_become_maps() -> None:
    tokens = FeatureExtractor(Network(_Tokens(), "head", ("encoder",)), MEAN, STD)(
        IMAGES
    ).feature_maps[0]
    nhwc = FeatureExtractor(Network(_ChannelsLast(), "head", ("body",), "NHWC"), MEAN, STD)(
        IMAGES
    ).feature_maps[0]
    normalized = (IMAGES - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    torch.testing.assert_close(tokens, normalized)
    torch.testing.assert_close(nhwc, normalized)


def test_the_features_of_a_convolutional_classifier_are_the_pooled_map() -> None:
    torch.manual_seed(0)
    outputs = FeatureExtractor(build_network("squeezenet1_1", 10), MEAN, STD).eval()(IMAGES)
    torch.testing.assert_close(outputs.features, outputs.feature_maps[-1].mean(dim=(2, 3)))


@pytest.mark.parametrize("name", ["resnet8", "squeezenet1_1"])
def test_an_extractor_exports_to_onnx_with_any_batch_size(name: str) -> None:
    torch.manual_seed(0)
    extractor = FeatureExtractor(build_network(name, 10), MEAN, STD).eval()
    file = io.BytesIO()
    program = torch.onnx.export(
        _Logits(extractor).eval(),
        (IMAGES,),
        dynamo=True,
        verbose=False,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )
    assert program is not None
    program.save(file)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {session.get_inputs()[0].name: IMAGES[:3].numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(
            logits, extractor.logits(IMAGES[:3]).numpy(), rtol=1e-3, atol=1e-4
        )


class _Logits(nn.Module):
    def __init__(self, extractor: FeatureExtractor) -> None:
        super().__init__()
        self.extractor = extractor

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.extractor.logits(image)


class _Tokens(nn.Module):
    """Network whose encoder returns tokens (N, 1 + H * W, 3). The class token comes first."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.head = nn.Identity(), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        out = self.encoder(torch.cat([torch.zeros(len(x), 1, 3), tokens], dim=1))
        logits: torch.Tensor = self.head(out[:, 0])
        return logits


class _ChannelsLast(nn.Module):
    """Network whose body returns a feature map with channels last (N, H, W, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Identity(), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.body(x.permute(0, 2, 3, 1)).mean(dim=(1, 2)))
        return logits
