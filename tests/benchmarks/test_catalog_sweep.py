"""Tests for the sweep over the catalog, on a sample of small networks."""

from pathlib import Path

import pytest

from benchmarks import catalog_sweep, catalog_sweep_tables
from benchmarks.catalog_sweep_tables import SweepResult

SAMPLE = {
    "resnet20": "resnet20",
    "wrn_16_1": "wrn_16_1",
    "ShuffleV2": "ShuffleV2",
    "squeezenet1_1": "squeezenet1_1",
    "mnasnet0_5": "mnasnet0_5",
    "shufflenet_v2_x0_5": "shufflenet_v2_x0_5",
    "timm/test_vit": "timm/test_vit",
    "timm/test_resnet": "timm/test_resnet",
    "timm/lcnet_035": "timm/lcnet_035",
    "timm/iformer_t": "timm/iformer_t",  # has blocks named `module`
    "timm/coat_lite_tiny": "timm/coat_lite_tiny",  # its layers share weights
    "timm/ghostnetv3_050": "timm/ghostnetv3_050",  # amplifies rounding
    "timm/tf_mobilenetv3_small_075": "timm/mobilenetv3_small_075",
    "timm/vit_tiny_patch16_224": "timm/deit_tiny_patch16_224",
    "timm/xcit_nano_12_p16_384": "timm/xcit_nano_12_p16_224",
}


@pytest.mark.parametrize("name", SAMPLE)
def test_a_network_is_recognized_from_its_weights_and_computes_the_same(name: str) -> None:
    result = catalog_sweep.check_network(name)
    assert (result.recognized, result.is_listed, result.error) == (SAMPLE[name], True, None)
    assert result.difference is not None
    assert result.difference < 1e-5


def test_a_large_network_is_recognized_without_being_run() -> None:
    result = catalog_sweep.check_network("timm/vit_huge_patch14_clip_quickgelu_224")
    assert (result.is_listed, result.difference, result.error) == (True, None, None)


def test_the_page_lists_exceptions_and_counts_honestly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "architectures.md"
    page.write_text("Before\n<!-- begin: sweep -->\nold\n<!-- end: sweep -->\nAfter\n")
    monkeypatch.setattr(catalog_sweep_tables, "PAGE", page)
    results = [
        SweepResult("resnet20", "resnet20", is_listed=True, difference=0.0),
        SweepResult("resnet8", "resnet14", is_listed=False, difference=0.5),
        SweepResult("vgg8", "vgg8", is_listed=True, difference=0.5),
        SweepResult("vgg11", None, is_listed=False, difference=None, error="It has no weights."),
    ]
    catalog_sweep_tables.write_tables(results)
    text = page.read_text()
    assert text.startswith("Before\n")
    assert text.endswith("After\n")
    assert "old" not in text
    assert "4 of" in text
    assert "3 of them were run. 1 are" in text
    assert "| `resnet8` | `resnet14` | taken for another network |" in text
    assert "| `vgg8` | `vgg8` | the logits differ by 5.0e-01 |" in text
    assert "| `vgg11` | `-` | It has no weights. |" in text
    assert "| `timm/efficientnet_b0`, `timm/efficientnet_blur_b0`, `timm/tf_eff" in text
