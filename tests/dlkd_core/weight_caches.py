"""Helpers that fill the weight caches of torch.hub and the Hugging Face Hub."""

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

from dlkd_core.pipeline import run
from dlkd_core.spec import DistillationSpec

TORCHVISION, TIMM = "shufflenet_v2_x0_5", "timm/test_resnet"
CLASS_MAP = (7, 3, 5)  # classifier outputs for the stripes in `train_cached_model`
_REFUSING_PROXY = "http://127.0.0.1:9"  # refuses connections, which disables network access


def disable_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redirect the weight caches to the folder and disable network access."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, _REFUSING_PROXY)
    monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))
    monkeypatch.setenv("HF_HOME", str(folder / "hf"))  # for child processes
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # otherwise requests are retried for a minute
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder / "hf" / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def random_weights(network: nn.Module) -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {
        name: torch.rand_like(tensor) if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }


def fill_torch_cache(folder: Path, name: str = TORCHVISION) -> dict[str, Tensor]:
    """Fill the torch.hub cache with random weights for a network, and return the weights."""
    settings = {"aux_logits": True, "init_weights": False} if name == "googlenet" else {}
    state = random_weights(get_model(name, weights=None, **settings))
    file_name = get_model_weights(name)["DEFAULT"].url.rpartition("/")[2]
    file = folder / "torch" / "hub" / "checkpoints" / file_name
    file.parent.mkdir(parents=True)
    torch.save(state, file)
    return state


def fill_hf_cache(
    folder: Path, state: dict[str, Tensor] | None = None, name: str = TIMM
) -> dict[str, Tensor]:
    """Fill the Hugging Face cache with weights for a timm network, and return the weights.

    If `state` is None, the weights are random.
    """
    timm_name = name.removeprefix("timm/")
    state = state or random_weights(timm.create_model(timm_name))
    repository = timm.get_pretrained_cfg(timm_name).hf_hub_id
    root = folder / "hf" / "hub" / f"models--{repository.replace('/', '--')}"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text("0" * 40)
    (root / "snapshots" / ("0" * 40)).mkdir(parents=True)
    save_file(state, root / "snapshots" / ("0" * 40) / "model.safetensors")
    return state


def train_cached_model(stripes: Path, folder: Path) -> dict[str, Tensor]:
    """Train the network `TIMM` on the stripes dataset and return its weights.

    The classifier is enlarged to a thousand classes. Its outputs with the indices in `CLASS_MAP`
    stand for the classes of the stripes dataset.
    """
    training = {"epochs": 12, "batch_size": 16, "learning_rate": 0.05, "flip": False}
    spec = {
        "student": {"architecture": TIMM},
        "dataset": {"path": stripes},
        "training": training,
        "export": ["safetensors"],
    }
    for _event in run(DistillationSpec.model_validate(spec), folder):
        pass
    state = load_file(folder / "student.safetensors")
    weight, bias = torch.zeros(1000, state["fc.weight"].shape[1]), torch.full((1000,), -9.0)
    weight[list(CLASS_MAP)], bias[list(CLASS_MAP)] = state["fc.weight"], state["fc.bias"]
    return {**state, "fc.weight": weight, "fc.bias": bias}
