"""Tests for building networks by name, with initialized weights or on the meta device."""

import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError

from dlkd_core.errors import UnknownChoice
from dlkd_core.models import build_network
from dlkd_core.models.meta_network import build_meta_network


def test_an_unknown_name_is_an_error_that_suggests_the_nearest_name() -> None:
    with pytest.raises(UnknownChoice) as caught:
        build_network("resnet21", 10)
    assert "resnet20" in caught.value.hint


def test_options_that_the_architecture_does_not_have_are_refused() -> None:
    with pytest.raises(ValidationError, match="shortcut"):
        build_network("vgg8", 10, {"shortcut": "pad"})


def test_the_same_seed_gives_the_same_weights() -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.cat(
            [weight.flatten() for weight in build_network("wrn_16_1", 10).module.parameters()]
        )

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize("name", ["resnet8", "swin_t"])
def test_a_meta_network_with_loaded_weights_equals_the_network(name: str) -> None:
    network, images = build_network(name, 10), torch.rand(2, 3, 32, 32)
    meta_network = build_meta_network(name, 10)
    meta_network.module.load_state_dict(network.module.state_dict(), assign=True)
    assert [key for key, tensor in meta_network.module.state_dict().items() if tensor.is_meta] == []
    with torch.no_grad():
        assert torch.equal(meta_network.module.eval()(images), network.module.eval()(images))


def test_a_meta_network_takes_no_memory_and_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    meta_network = build_meta_network("vgg19", 10)
    assert all(weight.is_meta for weight in meta_network.module.parameters())
    assert torch.equal(torch.get_rng_state(), before)


def test_cifar_networks_do_not_import_torchvision() -> None:
    code = (
        "import sys; from dlkd_core.models import build_network; build_network('resnet8', 10); "
        "sys.exit('torchvision' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
