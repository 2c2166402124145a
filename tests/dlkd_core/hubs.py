"""Caches of published weights, as torch's and the Hugging Face hub lay them out, and a network without network."""

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
CLASS_MAP = (7, 3, 5)  # where `taught_hub` puts the classes of the stripes among the thousand
_NOWHERE = "http://127.0.0.1:9"  # a proxy that refuses: as good as no network, on every machine


def cut_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty caches in the folder, and no network."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, _NOWHERE)
    monkeypatch.setenv("TORCH_HOME", str(folder / "torch"))
    monkeypatch.setenv("HF_HOME", str(folder / "hf"))  # for processes that begin later
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # else it asks again for a minute
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder / "hf" / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def drawn(network: nn.Module) -> dict[str, Tensor]:
    """Weights for it, all of them drawn."""
    torch.manual_seed(1)
    return {name: torch.rand_like(one) if one.is_floating_point() else one for name, one in network.state_dict().items()}


def fill_torch(folder: Path, name: str = TORCHVISION) -> dict[str, Tensor]:
    """Random weights where torch's hub looks for the published ones."""
    settings = {"aux_logits": True, "init_weights": False} if name == "googlenet" else {}
    state = drawn(get_model(name, weights=None, **settings))
    file = folder / "torch" / "hub" / "checkpoints" / get_model_weights(name)["DEFAULT"].url.rpartition("/")[2]
    file.parent.mkdir(parents=True)
    torch.save(state, file)
    return state


def fill_hub(folder: Path, state: dict[str, Tensor] | None = None, name: str = TIMM) -> dict[str, Tensor]:
    """Weights of a network of timm, random ones where none are given, in the layout of the Hugging Face hub's cache."""
    own = name.removeprefix("timm/")
    state = state or drawn(timm.create_model(own))
    repository = timm.get_pretrained_cfg(own).hf_hub_id
    root = folder / "hf" / "hub" / f"models--{repository.replace('/', '--')}"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text("0" * 40)
    (root / "snapshots" / ("0" * 40)).mkdir(parents=True)
    save_file(state, root / "snapshots" / ("0" * 40) / "model.safetensors")
    return state


def train(stripes: Path, folder: Path) -> dict[str, Tensor]:
    """Weights of TIMM that know the stripes, with a classifier of a thousand classes of which CLASS_MAP names theirs."""
    training = {"epochs": 12, "batch_size": 16, "learning_rate": 0.05, "flip": False}
    spec = {"student": {"architecture": TIMM}, "dataset": {"path": stripes}, "training": training, "export": ["safetensors"]}
    for _event in run(DistillationSpec.model_validate(spec), folder):
        pass
    state = load_file(folder / "student.safetensors")
    weight, bias = torch.zeros(1000, state["fc.weight"].shape[1]), torch.full((1000,), -9.0)
    weight[list(CLASS_MAP)], bias[list(CLASS_MAP)] = state["fc.weight"], state["fc.bias"]
    return {**state, "fc.weight": weight, "fc.bias": bias}
