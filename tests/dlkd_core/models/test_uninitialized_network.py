"""Tests for networks that are built without initializing their weights."""

import pytest
import torch

from dlkd_core.models import build_network
from dlkd_core.models.uninitialized_network import build_uninitialized_network

# Each has other buffers outside its state dict: blur filters, positions and masks of windows,
# positions in a table, rotary embeddings, and distances on a logarithmic scale.
NAMES = [
    "timm/resnetblur18",
    "timm/swin_tiny_patch4_window7_224",
    "timm/levit_128s",
    "timm/eva02_tiny_patch14_224",
    "timm/maxvit_rmlp_nano_rw_256",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_network_with_loaded_weights_equals_the_initialized_one(name: str) -> None:
    network = build_network(name, 3).module.eval()
    assert network.state_dict().keys() < {key for key, _ in all_tensors(network)}
    loaded = build_uninitialized_network(name, 3).module.eval()
    loaded.load_state_dict(network.state_dict())
    for (key, tensor), (own_key, own) in zip(
        all_tensors(network), all_tensors(loaded), strict=True
    ):
        assert key == own_key
        assert torch.equal(tensor, own), key


def all_tensors(module: torch.nn.Module) -> list[tuple[str, torch.Tensor]]:
    """Return parameters and buffers, including those outside the state dict."""
    return [*module.named_parameters(), *module.named_buffers()]


def test_building_leaves_parameters_alone_and_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    network = build_uninitialized_network("resnet8", 10, {"shortcut": "pad"}).module
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(parameter.is_meta for parameter in network.parameters())
    # Normalization layers create their statistics as zeros and ones, and these are no parameters.
    assert network.get_buffer("bn1.running_var").eq(1).all()
