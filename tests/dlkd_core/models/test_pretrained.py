"""Published weights: from caches that are filled here, and what is said where there are none and no network."""

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
from dlkd_core.models import Tapped, pretrained
from dlkd_core.models.pretrained import fresh_classifier, start
from dlkd_core.models.torchvision_nets import _WEIGHTS
from tests.dlkd_core.hubs import TIMM, TORCHVISION, cut_off, fill_hub, fill_torch


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty ones, and no network."""
    cut_off(tmp_path, monkeypatch)
    return tmp_path


def test_torchvisions_weights_come_from_the_cache_with_their_normalization(caches: Path) -> None:
    state = fill_torch(caches)
    found = pretrained.bring(TORCHVISION, pointer="/teacher/pretrained")
    assert (found.num_classes, found.normalization.mean) == (1000, (0.485, 0.456, 0.406))
    assert all(torch.equal(one, state[name]) for name, one in found.network.module.state_dict().items())


def test_timms_weights_come_from_the_cache_with_their_normalization(caches: Path) -> None:
    state = fill_hub(caches)
    found = pretrained.bring(TIMM, pointer="/teacher/pretrained")
    told = timm.get_pretrained_cfg("test_resnet")
    assert (found.num_classes, found.normalization.mean, found.normalization.std) == (1000, told.mean, told.std)
    assert all(torch.equal(one, state[name]) for name, one in found.network.module.state_dict().items())


def test_googlenet_comes_without_its_auxiliary_classifiers_and_under_the_normalization_it_was_trained_under(caches: Path) -> None:
    state = fill_torch(caches, "googlenet")
    found = pretrained.bring("googlenet", pointer="/teacher/pretrained")
    assert any(name.startswith("aux1") for name in state)
    assert not any(name.startswith("aux") for name in found.network.module.state_dict())
    assert found.normalization.mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("name", [TORCHVISION, TIMM])
def test_a_student_begins_with_them_and_with_a_new_classifier(caches: Path, name: str) -> None:
    state = fill_hub(caches) if name == TIMM else fill_torch(caches)
    network = start(name, 3).network
    own = network.module.state_dict()
    heads = {name for name in own if name.startswith(network.classifier)}
    assert len(heads) == 2
    assert all(torch.equal(own[name], state[name]) for name in own if name not in heads)
    assert Tapped(network, (0, 0, 0), (1, 1, 1))(torch.rand(2, 3, 64, 64)).logits.shape == (2, 3)


def test_a_published_backbone_tells_no_classes_apart_and_gets_a_classifier(caches: Path) -> None:
    name = "timm/vit_tiny_patch16_dinov3_qkvb"
    state = fill_hub(caches, name=name)
    assert pretrained.bring(name, pointer="/teacher/pretrained").num_classes == 0
    own = start(name, 3).network.module.state_dict()
    assert {name: tuple(own[name].shape) for name in own.keys() - state} == {"head.weight": (3, 192), "head.bias": (3,)}
    assert all(torch.equal(own[name], one) for name, one in state.items())


def test_both_classifiers_of_a_distilled_network_are_new(caches: Path) -> None:
    name = "timm/swiftformer_xs"
    state = fill_hub(caches, name=name)
    network = start(name, 3).network
    own = network.module.state_dict()
    assert {name.partition(".")[0] for name in own if own[name].shape != state[name].shape} == {"head", "head_dist"}
    assert Tapped(network, (0, 0, 0), (1, 1, 1))(torch.rand(2, 3, 32, 32)).logits.shape == (2, 3)


@pytest.mark.parametrize("name", [TORCHVISION, TIMM])
def test_without_cache_and_network_the_error_says_what_to_do(name: str) -> None:
    with pytest.raises(WeightsUnavailable, match="are not in the cache and cannot be downloaded") as caught:
        pretrained.bring(name, pointer="/teacher/pretrained")
    assert (caught.value.code, caught.value.pointer) == ("weights_unavailable", "/teacher/pretrained")
    assert all(word in caught.value.hint for word in ("TORCH_HOME", "HF_HOME", "upload"))


def test_weights_in_the_cache_that_are_another_networks_are_told(caches: Path) -> None:
    fill_torch(caches)
    (file,) = (caches / "torch" / "hub" / "checkpoints").iterdir()
    torch.save(get_model("squeezenet1_1", weights=None).state_dict(), file)
    with pytest.raises(WeightsUnavailable, match="do not fit: Error"):
        pretrained.bring(TORCHVISION, pointer="/student/pretrained")


def test_a_cached_file_that_holds_code_is_never_run(caches: Path) -> None:
    fill_torch(caches)
    (file,) = (caches / "torch" / "hub" / "checkpoints").iterdir()
    torch.save({"conv1.0.weight": torch.zeros(1), "evil": Path("x")}, file)
    with pytest.raises(WeightsUnavailable, match="do not fit"):
        pretrained.bring(TORCHVISION, pointer="/student/pretrained")


def test_networks_and_options_without_published_weights_are_refused() -> None:
    with pytest.raises(SpecError, match="Nobody publishes weights of resnet8"):
        pretrained.bring("resnet8", pointer="/student/pretrained")
    with pytest.raises(SpecError, match="without options alone"):
        pretrained.bring("mobilenet_v2", {"width_mult": 0.5}, pointer="/student/pretrained")


def test_every_torchvision_network_of_the_catalog_has_weights_for_its_size() -> None:
    for name, entry in ARCHITECTURES.items():
        if entry.family == "torchvision":
            own = name.removeprefix("torchvision_")
            weights = get_model_weights(own)[_WEIGHTS.get(own, "DEFAULT")]
            assert entry.max_size is None or weights.transforms().crop_size == [entry.max_size], name


def test_a_new_classifier_is_like_the_old_one() -> None:
    convolution = fresh_classifier(torch.nn.Conv2d(8, 1000, 1), 3)
    assert isinstance(convolution, torch.nn.Conv2d)
    assert (convolution.out_channels, convolution.kernel_size) == (3, (1, 1))
    assert fresh_classifier(torch.nn.Linear(8, 1000, bias=False), 3).bias is None


def test_the_environment_alone_says_where_the_hubs_cache_is(caches: Path) -> None:
    fill_hub(caches)
    code = f"from dlkd_core.models.pretrained import bring; print(bring({TIMM!r}, pointer='').num_classes)"
    result = subprocess.run([sys.executable, "-c", code], env=dict(os.environ), capture_output=True, text=True, check=True)
    assert result.stdout == "1000\n"
