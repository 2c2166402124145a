"""A tapped network shows what happens inside, and stays a network like any other."""

import copy
import gc
import io
import weakref

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from dlkd_core.models import Network, Tapped, build

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
IMAGES = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return build("resnet8", 10)


def test_the_classifier_makes_the_logits_out_of_the_features(network: Network) -> None:
    outputs = Tapped(network, MEAN, STD).eval()(IMAGES)
    torch.testing.assert_close(network.module.get_submodule("fc")(outputs.features), outputs.logits)
    torch.testing.assert_close(outputs.maps[-1].mean(dim=(2, 3)), outputs.features)


def test_the_normalisation_is_inside(network: Network) -> None:
    normal = (IMAGES - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    network.module.eval()
    torch.testing.assert_close(Tapped(network, MEAN, STD).eval().logits(IMAGES), network.module(normal))


def test_a_deep_copy_taps_into_itself(network: Network) -> None:
    tapped = Tapped(network, MEAN, STD).eval()
    twin = copy.deepcopy(tapped)
    with torch.no_grad():
        for weight in twin.parameters():
            weight.zero_()
    assert twin(IMAGES).features.abs().max() == 0
    assert tapped(IMAGES).features.abs().max() > 0


def test_two_taps_of_one_network_do_not_disturb_each_other(network: Network) -> None:
    one, other = Tapped(network, MEAN, STD).eval(), Tapped(network, (0, 0, 0), (1, 1, 1)).eval()
    before = one(IMAGES)
    assert not torch.equal(other(IMAGES).features, before.features)
    assert torch.equal(one(IMAGES).features, before.features)


def test_gradients_flow_from_features_and_maps_in_training_and_not_under_no_grad(network: Network) -> None:
    tapped = Tapped(network, MEAN, STD).train()
    outputs = tapped(IMAGES)
    (outputs.features.sum() + outputs.maps[0].sum()).backward()
    first = network.module.get_submodule("conv1")
    assert isinstance(first.weight, nn.Parameter)
    assert first.weight.grad is not None
    with torch.no_grad():
        assert not tapped(IMAGES).features.requires_grad


def test_nothing_is_kept_after_a_pass(network: Network) -> None:
    tapped = Tapped(network, MEAN, STD)
    features = weakref.ref(tapped(IMAGES).features)
    gc.collect()
    assert features() is None


def test_a_pass_that_fails_leaves_the_next_one_whole(network: Network) -> None:
    tapped = Tapped(network, MEAN, STD).eval()
    with pytest.raises(RuntimeError):
        tapped(torch.rand(1, 7, 32, 32))
    assert len(tapped(IMAGES).maps) == 3


def test_tokens_and_channels_last_become_maps() -> None:
    tokens = Tapped(Network(_Tokens(), "head", ("encoder",)), MEAN, STD)(IMAGES).maps[0]
    nhwc = Tapped(Network(_ChannelsLast(), "head", ("body",), "NHWC"), MEAN, STD)(IMAGES).maps[0]
    normal = (IMAGES - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    torch.testing.assert_close(tokens, normal)
    torch.testing.assert_close(nhwc, normal)


def test_a_convolutional_classifier_gives_the_pooled_map_as_features() -> None:
    torch.manual_seed(0)
    outputs = Tapped(build("squeezenet1_1", 10), MEAN, STD).eval()(IMAGES)
    torch.testing.assert_close(outputs.features, outputs.maps[-1].mean(dim=(2, 3)))


@pytest.mark.parametrize("name", ["resnet8", "squeezenet1_1"])
def test_it_exports_to_onnx_with_any_batch_size(name: str) -> None:
    torch.manual_seed(0)
    tapped = Tapped(build(name, 10), MEAN, STD).eval()
    file = io.BytesIO()
    program = torch.onnx.export(
        _Logits(tapped).eval(), (IMAGES,), dynamo=True, verbose=False, dynamic_shapes=({0: torch.export.Dim("batch")},)
    )
    assert program is not None
    program.save(file)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {session.get_inputs()[0].name: IMAGES[:3].numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(logits, tapped.logits(IMAGES[:3]).numpy(), rtol=1e-3, atol=1e-4)


class _Logits(nn.Module):
    def __init__(self, tapped: Tapped) -> None:
        super().__init__()
        self.tapped = tapped

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.tapped.logits(image)


class _Tokens(nn.Module):
    """Images as tokens (N, 1 + H * W, 3) with a class token first, unchanged."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.head = nn.Identity(), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        out = self.encoder(torch.cat([torch.zeros(len(x), 1, 3), tokens], dim=1))
        logits: torch.Tensor = self.head(out[:, 0])
        return logits


class _ChannelsLast(nn.Module):
    """Images as (N, H, W, 3), unchanged."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Identity(), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.body(x.permute(0, 2, 3, 1)).mean(dim=(1, 2)))
        return logits
