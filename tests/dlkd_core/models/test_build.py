"""Networks by name, and their skeletons."""

import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError

from dlkd_core.errors import UnknownChoice
from dlkd_core.models import build
from dlkd_core.models.skeleton import skeleton


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownChoice) as caught:
        build("resnet21", 10)
    assert "resnet20" in caught.value.hint


def test_options_that_the_architecture_does_not_have_are_refused() -> None:
    with pytest.raises(ValidationError, match="shortcut"):
        build("vgg8", 10, {"shortcut": "pad"})


def test_the_same_seed_gives_the_same_weights() -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.cat([weight.flatten() for weight in build("wrn_16_1", 10).module.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize("name", ["resnet8", "swin_t"])
def test_a_skeleton_filled_with_weights_is_the_network(name: str) -> None:
    network, images = build(name, 10), torch.rand(2, 3, 32, 32)
    frame = skeleton(name, 10)
    frame.module.load_state_dict(network.module.state_dict(), assign=True)
    assert [key for key, tensor in frame.module.state_dict().items() if tensor.is_meta] == []
    with torch.no_grad():
        assert torch.equal(frame.module.eval()(images), network.module.eval()(images))


def test_a_skeleton_has_no_memory_and_takes_no_random_numbers() -> None:
    before = torch.get_rng_state()
    frame = skeleton("vgg19", 10)
    assert all(weight.is_meta for weight in frame.module.parameters())
    assert torch.equal(torch.get_rng_state(), before)


def test_the_cifar_networks_do_not_wait_for_torchvision() -> None:
    code = "import sys; from dlkd_core.models import build; build('resnet8', 10); sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
