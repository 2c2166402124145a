"""Tests that the catalog's facts about timm networks match the installed timm."""

import subprocess
import sys

import pytest
import timm

from dlkd_core.catalog import ARCHITECTURES, find_architecture
from dlkd_core.catalog.architectures.timm_architectures import TIMM_ARCHITECTURES, TIMM_MODEL_INFO
from dlkd_core.errors import UnknownChoice
from dlkd_core.models.timm_index import indexable_names, probe_network

_REGENERATE = (
    "run python -m dlkd_core.models.timm_index and then"
    " python -m dlkd_core.teachers.recognition.fingerprints timm"
)
# In these networks, the classifier is part of an attention layer. That layer reads the classifier's
# weights without calling the classifier.
_ATTENTION_POOLED = {
    "resnet50_clip",
    "resnet50x4_clip",
    "resnet50x16_clip",
    "resnet50x64_clip",
    "resnet101_clip",
}
# The timm configurations of these networks name a classifier layer that does not exist.
_ENCODERS = {"gemma4_vit_167m_enc", "gemma4_vit_570m_enc", "mobilenetv5_300m_enc"}


def test_the_file_has_every_classification_network_of_timm() -> None:
    installed = set(indexable_names())
    assert installed - set(TIMM_MODEL_INFO) == _ATTENTION_POOLED | _ENCODERS, _REGENERATE
    assert set(TIMM_MODEL_INFO) - installed == set(), _REGENERATE
    assert len(TIMM_MODEL_INFO) > 1000


def test_networks_without_a_classifier_or_with_many_are_left_out() -> None:
    left_out = set(timm.list_models()) - set(indexable_names())
    configs = {name: timm.get_pretrained_cfg(name) for name in left_out}
    single_classifier = [
        name
        for name, config in configs.items()
        if config and config.classifier and len(config.classifier) == 1
    ]
    assert single_classifier == []
    assert {"efficientvim_m1", "qwen3_vit_88m_enc"} <= left_out
    assert {
        "deit_tiny_distilled_patch16_224",
        "levit_128",
        "vit_small_patch14_dinov2",
        "resnet50_clip_gap",
    } <= set(TIMM_MODEL_INFO)


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
        "vitamin_small_224",
    ],
)
def test_the_facts_of_a_network_are_those_of_running_it(name: str) -> None:
    assert probe_network(name) == TIMM_MODEL_INFO[name], _REGENERATE


def test_entries_have_the_image_sizes_of_the_network() -> None:
    resnet, vit = find_architecture("timm/resnet26"), find_architecture("timm/vit_tiny_patch16_224")
    assert (resnet.min_size, resnet.max_size, resnet.is_resizable) == (8, None, False)
    assert (vit.min_size, vit.is_resizable, vit.default_image_size) == (16, True, 224)
    assert vit.with_image_size({}, (32, 32)) == {"image_size": 32}
    assert vit.with_image_size({"image_size": 64}, (32, 32)) == {"image_size": 64}
    assert resnet.with_image_size({}, (32, 32)) == {}


@pytest.mark.parametrize(
    ("options", "size", "message"),
    [
        ({}, (32, 32), None),
        ({}, (8, 8), "at least 16"),
        ({}, (32, 64), "64 x 64 pixels, but these have 32 x 64"),
        ({"image_size": 64}, (32, 32), "64 x 64 pixels, but these have 32 x 32"),
    ],
)
def test_an_image_size_that_a_network_does_not_accept_is_described(
    options: dict[str, int], size: tuple[int, int], message: str | None
) -> None:
    architecture = find_architecture("timm/vit_tiny_patch16_224")
    mismatch = architecture.describe_size_mismatch(options, size)
    assert mismatch is None if message is None else message in (mismatch or "")


def test_a_network_with_a_fixed_size_rejects_all_others() -> None:
    architecture = find_architecture("vit_b_16")
    assert "at most 224" in (architecture.describe_size_mismatch({}, (256, 256)) or "")
    assert architecture.describe_size_mismatch({}, (224, 224)) is None


@pytest.mark.parametrize(
    ("unknown", "similar"),
    [
        ("timm/resnet_26", "timm/resnet26"),
        ("timm/mobilnetv3_small_050", "timm/mobilenetv3_small_050"),
    ],
)
def test_an_unknown_name_is_rejected_with_similar_names(unknown: str, similar: str) -> None:
    with pytest.raises(UnknownChoice) as caught:
        find_architecture(unknown)
    assert similar in caught.value.hint


def test_names_are_unique_and_the_catalog_does_not_import_timm() -> None:
    assert all(
        entry.name.startswith("timm/") and ARCHITECTURES[entry.name] is entry
        for entry in TIMM_ARCHITECTURES
    )
    code = (
        "import sys, dlkd_core.catalog; sys.exit('timm' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
