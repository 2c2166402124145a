"""What the catalog says of timm is what the installed timm says."""

import subprocess
import sys

import pytest
import timm

from dlkd_core.catalog import ARCHITECTURES, find_architecture
from dlkd_core.catalog.timm_names import TIMM, TIMM_NAMES
from dlkd_core.errors import UnknownChoice
from dlkd_core.models.timm_index import facts, names

_REGENERATE = "run python -m dlkd_core.models.timm_index and then python -m dlkd_core.teachers.fingerprints timm"
# Their classifier is a part of another layer, which calls it by its weights.
_POOLED_BY_ATTENTION = {"resnet50_clip", "resnet50x4_clip", "resnet50x16_clip", "resnet50x64_clip", "resnet101_clip"}
_ENCODERS = {"gemma4_vit_167m_enc", "gemma4_vit_570m_enc", "mobilenetv5_300m_enc"}  # the classifier that they name is not there


def test_the_file_names_every_classifier_of_timm() -> None:
    theirs = set(names())
    assert theirs - set(TIMM_NAMES) == _POOLED_BY_ATTENTION | _ENCODERS, _REGENERATE
    assert set(TIMM_NAMES) - theirs == set(), _REGENERATE
    assert len(TIMM_NAMES) > 1000


def test_left_out_are_networks_without_a_layer_for_classes_or_with_many() -> None:
    cfgs = {name: timm.get_pretrained_cfg(name) for name in set(timm.list_models()) - set(names())}
    assert [name for name, cfg in cfgs.items() if cfg and cfg.classifier and len(cfg.classifier) == 1] == []
    assert {"efficientvim_m1", "qwen3_vit_88m_enc"} <= set(cfgs)
    assert {"deit_tiny_distilled_patch16_224", "levit_128", "vit_small_patch14_dinov2", "resnet50_clip_gap"} <= set(TIMM_NAMES)


@pytest.mark.parametrize(
    "name",
    [
        "resnet26",
        "mobilenetv3_small_050",
        "vit_tiny_patch16_224",
        "hrnet_w18_small",
        "levit_128s",
        "pit_ti_distilled_224",
        "vit_small_patch14_dinov2",
    ],
)
def test_the_file_says_of_a_network_what_running_it_says(name: str) -> None:
    assert facts(name) == TIMM_NAMES[name], _REGENERATE


def test_entries_say_what_images_they_take() -> None:
    resnet, vit = find_architecture("timm/resnet26"), find_architecture("timm/vit_tiny_patch16_224")
    assert (resnet.min_size, resnet.max_size, resnet.resizable) == (8, None, False)
    assert (vit.min_size, vit.resizable, vit.side) == (16, True, 224)
    assert vit.sized({}, (32, 32)) == {"image_size": 32}
    assert vit.sized({"image_size": 64}, (32, 32)) == {"image_size": 64}
    assert resnet.sized({}, (32, 32)) == {}


@pytest.mark.parametrize(
    ("options", "size", "wrong"),
    [
        ({}, (32, 32), None),
        ({}, (8, 8), "at least 16"),
        ({}, (32, 64), "64 x 64 pixels; these have 32 x 64"),
        ({"image_size": 64}, (32, 32), "64 x 64 pixels; these have 32 x 32"),
    ],
)
def test_images_that_a_network_does_not_take_are_told(options: dict[str, int], size: tuple[int, int], wrong: str | None) -> None:
    said = find_architecture("timm/vit_tiny_patch16_224").misfit(options, size)
    assert said is None if wrong is None else wrong in (said or "")


def test_a_network_of_one_size_refuses_all_others() -> None:
    assert "at most 224" in (find_architecture("vit_b_16").misfit({}, (256, 256)) or "")
    assert find_architecture("vit_b_16").misfit({}, (224, 224)) is None


@pytest.mark.parametrize(
    ("wrong", "near"), [("timm/resnet_26", "timm/resnet26"), ("timm/mobilnetv3_small_050", "timm/mobilenetv3_small_050")]
)
def test_an_unknown_name_is_answered_with_the_nearest(wrong: str, near: str) -> None:
    with pytest.raises(UnknownChoice) as caught:
        find_architecture(wrong)
    assert near in caught.value.hint


def test_no_name_clashes_and_none_needs_timm() -> None:
    assert all(entry.name.startswith("timm/") and ARCHITECTURES[entry.name] is entry for entry in TIMM)
    code = "import sys, dlkd_core.catalog; sys.exit('timm' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
