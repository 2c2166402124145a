"""Tests for pretrained weights. The tests fill the weight caches and download nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from torchvision.models import get_model, get_model_weights

from dlkd_core.catalog import ARCHITECTURES
from dlkd_core.errors import SpecError, WeightsUnavailable
from dlkd_core.models import FeatureExtractor
from dlkd_core.models.pretrained_weights import (
    load_pretrained,
    load_pretrained_student,
    new_classifier,
)
from dlkd_core.models.torchvision_models import _WEIGHT_OVERRIDES
from tests.dlkd_core.weight_caches import (
    TIMM,
    TORCHVISION,
    disable_network,
    fill_hf_cache,
    fill_torch_cache,
)


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use empty weight caches in `tmp_path`, disable network access and return the folder."""
    disable_network(tmp_path, monkeypatch)
    return tmp_path


def test_torchvision_weights_are_loaded_from_the_cache_with_their_normalization(
    caches: Path,
) -> None:
    state = fill_torch_cache(caches)
    pretrained = load_pretrained(TORCHVISION, pointer="/teacher/pretrained")
    assert (pretrained.num_classes, pretrained.normalization.mean) == (1000, (0.485, 0.456, 0.406))
    assert all(
        torch.equal(tensor, state[name])
        for name, tensor in pretrained.network.module.state_dict().items()
    )


def test_timm_weights_are_loaded_from_the_cache_with_their_normalization(caches: Path) -> None:
    state = fill_hf_cache(caches)
    pretrained = load_pretrained(TIMM, pointer="/teacher/pretrained")
    config = timm.get_pretrained_cfg("test_resnet")
    assert (
        pretrained.num_classes,
        pretrained.normalization.mean,
        pretrained.normalization.std,
    ) == (
        1000,
        config.mean,
        config.std,
    )
    assert all(
        torch.equal(tensor, state[name])
        for name, tensor in pretrained.network.module.state_dict().items()
    )


def test_googlenet_has_no_auxiliary_classifiers_and_its_own_normalization(
    caches: Path,
) -> None:
    state = fill_torch_cache(caches, "googlenet")
    pretrained = load_pretrained("googlenet", pointer="/teacher/pretrained")
    assert any(name.startswith("aux1") for name in state)
    assert not any(name.startswith("aux") for name in pretrained.network.module.state_dict())
    assert pretrained.normalization.mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("name", [TORCHVISION, TIMM])
def test_a_pretrained_student_gets_a_new_classifier(caches: Path, name: str) -> None:
    state = fill_hf_cache(caches) if name == TIMM else fill_torch_cache(caches)
    network = load_pretrained_student(name, 3).network
    weights = network.module.state_dict()
    heads = {name for name in weights if name.startswith(network.classifier)}
    assert len(heads) == 2
    assert all(torch.equal(weights[name], state[name]) for name in weights if name not in heads)
    assert FeatureExtractor(network, (0, 0, 0), (1, 1, 1))(
        torch.rand(2, 3, 64, 64)
    ).logits.shape == (2, 3)


def test_a_pretrained_backbone_has_no_classes_and_a_student_gets_a_classifier(caches: Path) -> None:
    name = "timm/vit_tiny_patch16_dinov3_qkvb"
    state = fill_hf_cache(caches, name=name)
    assert load_pretrained(name, pointer="/teacher/pretrained").num_classes == 0
    weights = load_pretrained_student(name, 3).network.module.state_dict()
    assert {name: tuple(weights[name].shape) for name in weights.keys() - state} == {
        "head.weight": (3, 192),
        "head.bias": (3,),
    }
    assert all(torch.equal(weights[name], tensor) for name, tensor in state.items())


def test_both_classifiers_of_a_network_with_a_distillation_head_are_new(caches: Path) -> None:
    name = "timm/swiftformer_xs"
    state = fill_hf_cache(caches, name=name)
    network = load_pretrained_student(name, 3).network
    weights = network.module.state_dict()
    assert {
        name.partition(".")[0] for name in weights if weights[name].shape != state[name].shape
    } == {
        "head",
        "head_dist",
    }
    assert FeatureExtractor(network, (0, 0, 0), (1, 1, 1))(
        torch.rand(2, 3, 32, 32)
    ).logits.shape == (2, 3)


@pytest.mark.parametrize("name", [TORCHVISION, TIMM])
def test_without_a_cache_and_network_the_error_has_a_hint(name: str) -> None:
    with pytest.raises(
        WeightsUnavailable, match="are not in the cache and cannot be downloaded"
    ) as caught:
        load_pretrained(name, pointer="/teacher/pretrained")
    assert (caught.value.code, caught.value.pointer) == (
        "weights_unavailable",
        "/teacher/pretrained",
    )
    assert all(text in caught.value.hint for text in ("TORCH_HOME", "HF_HOME", "upload"))


def test_cached_weights_of_another_network_are_an_error(caches: Path) -> None:
    fill_torch_cache(caches)
    (file,) = (caches / "torch" / "hub" / "checkpoints").iterdir()
    torch.save(get_model("squeezenet1_1", weights=None).state_dict(), file)
    with pytest.raises(WeightsUnavailable, match="do not match the network: Error"):
        load_pretrained(TORCHVISION, pointer="/student/pretrained")


def test_a_cached_file_that_holds_code_is_never_run(caches: Path) -> None:
    fill_torch_cache(caches)
    (file,) = (caches / "torch" / "hub" / "checkpoints").iterdir()
    torch.save({"conv1.0.weight": torch.zeros(1), "evil": Path("x")}, file)
    with pytest.raises(WeightsUnavailable, match="do not match the network"):
        load_pretrained(TORCHVISION, pointer="/student/pretrained")


def test_networks_and_options_without_published_weights_are_errors() -> None:
    with pytest.raises(SpecError, match="no published weights for resnet8"):
        load_pretrained("resnet8", pointer="/student/pretrained")
    with pytest.raises(SpecError, match="only for the default options"):
        load_pretrained("mobilenet_v2", {"width_mult": 0.5}, pointer="/student/pretrained")


def test_torchvision_weights_are_for_the_size_of_their_network() -> None:
    for name, entry in ARCHITECTURES.items():
        if entry.family == "torchvision":
            model_name = name.removeprefix("torchvision_")
            weights = get_model_weights(model_name)[_WEIGHT_OVERRIDES.get(model_name, "DEFAULT")]
            assert entry.max_size is None or weights.transforms().crop_size == [entry.max_size], (
                name
            )


def test_a_new_classifier_is_like_the_old_one() -> None:
    convolution = new_classifier(torch.nn.Conv2d(8, 1000, 1), 3)
    assert isinstance(convolution, torch.nn.Conv2d)
    assert (convolution.out_channels, convolution.kernel_size) == (3, (1, 1))
    assert new_classifier(torch.nn.Linear(8, 1000, bias=False), 3).bias is None


def test_the_environment_selects_the_hub_cache(caches: Path) -> None:
    fill_hf_cache(caches)
    code = (
        "from dlkd_core.models.pretrained_weights import load_pretrained; "
        f"print(load_pretrained({TIMM!r}, pointer='').num_classes)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "1000\n"
