"""Networks of transformers compute as teachers what they compute in transformers."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from dlkd_core.errors import CheckpointRefused, ImagesDoNotFit, KeysDoNotFit, LibraryMissing
from dlkd_core.models import FeatureExtractor
from dlkd_core.network_outputs import Outputs
from dlkd_core.spec import Normalization
from dlkd_core.teachers.loading import LoadedTeacher, inspect_teacher, load_teacher_file
from dlkd_core.teachers.transformers import network_builder
from dlkd_core.teachers.transformers.network_config import clean_config
from tests.dlkd_core.teachers.transformers.network_folders import (
    CLASSES,
    NETWORKS,
    as_torch_file,
    build_network,
    edit_config,
    save_files,
    write_zip,
)

PREPROCESSOR = {
    "do_normalize": True,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.3, 0.4],
    "size": {"height": 48, "width": 48},
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError(f"connecting to {arguments}")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def zip_network(network: Any, folder: Path, **more: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    files = {**save_files(network, folder / "network"), **more}
    return write_zip(folder / "network.zip", {f"network/{name}": files[name] for name in files})


def random_images(side: int, channels: int = 3) -> torch.Tensor:
    return torch.rand(2, channels, side, side, generator=torch.Generator().manual_seed(1))


def run(loaded: LoadedTeacher, images: torch.Tensor) -> Outputs:
    channels = images.shape[1]
    identity = Normalization(mean=(0.0,) * channels, std=(1.0,) * channels)
    extractor = loaded.source.build_extractor(identity, torch.device("cpu"))
    assert isinstance(extractor, FeatureExtractor)
    with torch.no_grad():
        outputs: Outputs = extractor(images)
    return outputs


@pytest.mark.parametrize("name", NETWORKS)
def test_the_logits_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    network = build_network(name)
    path = zip_network(network, tmp_path)
    config = network.config.to_dict()
    side = config.get("vision_config", config).get("image_size") or 64
    images = random_images(side)
    with torch.no_grad():
        expected = network(pixel_values=images).logits
    loaded = load_teacher_file(path)
    outputs = run(loaded, images)
    torch.testing.assert_close(outputs.logits, expected, atol=1e-5, rtol=1e-5)
    assert expected.std() > 1e-3
    assert loaded.architecture == f"transformers/{name}"
    assert loaded.num_classes == CLASSES
    assert outputs.features.dim() == 2
    assert len(outputs.feature_maps) > 1
    assert all(feature_map.dim() == 4 for feature_map in outputs.feature_maps)


def test_features_are_the_classifiers_input(tmp_path: Path) -> None:
    network = build_network("dinov2")
    outputs = run(load_teacher_file(zip_network(network, tmp_path)), random_images(32))
    torch.testing.assert_close(network.classifier(outputs.features), outputs.logits)
    assert [tuple(feature_map.shape) for feature_map in outputs.feature_maps] == [(2, 24, 4, 4)] * 2


def test_the_check_reports_what_the_folder_says(tmp_path: Path) -> None:
    network = build_network("vit")
    preprocessor = json.dumps(PREPROCESSOR).encode()
    path = zip_network(network, tmp_path, **{"preprocessor_config.json": preprocessor})
    report = inspect_teacher(path)
    assert (report["format"], report["architecture"]) == ("safetensors", "transformers/vit")
    assert (report["num_classes"], report["options"]) == (CLASSES, {})
    assert report["parameters"] == sum(parameter.numel() for parameter in network.parameters())
    notices = "\n".join(report["notices"])
    assert "ViTForImageClassification" in notices
    assert "mean [0.5, 0.4, 0.3], std [0.2, 0.3, 0.4]" in notices
    assert "image_size to 48" in notices
    assert load_teacher_file(path).normalization == Normalization(
        mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4)
    )


def test_positions_are_interpolated_for_images_of_another_size(tmp_path: Path) -> None:
    network = build_network("vit")
    images = random_images(64)
    with torch.no_grad():
        expected = network(pixel_values=images, interpolate_pos_encoding=True).logits
    outputs = run(load_teacher_file(zip_network(network, tmp_path)), images)
    torch.testing.assert_close(outputs.logits, expected, atol=1e-5, rtol=1e-5)


def test_a_network_for_one_size_says_so_and_refuses_others(tmp_path: Path) -> None:
    loaded = load_teacher_file(zip_network(build_network("levit"), tmp_path))
    assert loaded.options == {"image_size": 64}
    with pytest.raises(ImagesDoNotFit, match="32 x 32") as error:
        run(loaded, random_images(32))
    assert "64" in error.value.hint


def test_patches_that_are_not_all_compared_may_be_many() -> None:
    swin = {"model_type": "swin", "image_size": 384, "patch_size": 4}
    assert clean_config(swin)["image_size"] == 384
    with pytest.raises(CheckpointRefused, match="9216 patches"):
        clean_config({**swin, "model_type": "vit"})


def test_trying_another_size_does_not_change_the_windows_of_swin(tmp_path: Path) -> None:
    network = build_network("swin", depths=[1, 1, 1], num_heads=[1, 2, 4], image_size=64)
    images = random_images(64)
    with torch.no_grad():
        expected = network(pixel_values=images).logits
    loaded = load_teacher_file(zip_network(network, tmp_path))
    torch.testing.assert_close(run(loaded, images).logits, expected, atol=1e-5, rtol=1e-5)


def test_a_network_for_grayscale_images(tmp_path: Path) -> None:
    network = build_network("resnet", num_channels=1)
    loaded = load_teacher_file(zip_network(network, tmp_path))
    assert (loaded.options, loaded.channels) == ({"in_channels": 1}, 1)
    images = random_images(64, channels=1)
    with torch.no_grad():
        expected = network(pixel_values=images).logits
    torch.testing.assert_close(run(loaded, images).logits, expected, atol=1e-5, rtol=1e-5)


def test_weights_in_a_torch_file_and_in_half_precision(tmp_path: Path) -> None:
    network = build_network("resnet")
    files = save_files(network, tmp_path / "network")
    del files["model.safetensors"]
    files["pytorch_model.bin"] = as_torch_file(network.half())
    loaded = load_teacher_file(write_zip(tmp_path / "old.zip", files))
    images = random_images(64)
    with torch.no_grad():
        expected = network.float()(pixel_values=images).logits
    assert loaded.format == "torch"
    torch.testing.assert_close(run(loaded, images).logits, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("is_model", [True, False], ids=["Dinov2Model", "without classifier"])
def test_a_backbone_teaches_with_the_classifiers_input(tmp_path: Path, *, is_model: bool) -> None:
    network = build_network("dinov2")
    whole = run(load_teacher_file(zip_network(network, tmp_path)), random_images(32))
    if is_model:
        path = zip_network(network.dinov2, tmp_path / "backbone")
    else:
        files = save_files(network, tmp_path / "headless")
        weights = load(files.pop("model.safetensors"))
        kept = {name: weights[name] for name in weights if "classifier" not in name}
        path = write_zip(tmp_path / "headless.zip", {**files, "model.safetensors": save(kept)})
    loaded = load_teacher_file(path)
    outputs = run(loaded, random_images(32))
    assert loaded.num_classes == 0
    assert any("no classifier" in notice for notice in loaded.notices)
    assert outputs.logits.shape == (2, 0)
    torch.testing.assert_close(outputs.features, whole.features)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    files = save_files(build_network("resnet"), tmp_path / "network")
    path = write_zip(tmp_path / "n.zip", edit_config(files, hidden_sizes=[8, 16, 24, 40]))
    with pytest.raises(KeysDoNotFit, match="other shapes"):
        load_teacher_file(path)
    path = write_zip(tmp_path / "n.zip", edit_config(files, depths=[1, 1, 2, 1]))
    with pytest.raises(KeysDoNotFit, match="Missing"):
        load_teacher_file(path)


def test_another_architecture_cannot_be_requested(tmp_path: Path) -> None:
    path = zip_network(build_network("resnet"), tmp_path)
    with pytest.raises(KeysDoNotFit, match="transformers/resnet"):
        load_teacher_file(path, architecture="resnet50")


def test_without_the_package_the_error_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zip_network(build_network("resnet"), tmp_path)
    monkeypatch.setattr(network_builder, "find_spec", lambda _name: None)
    with pytest.raises(LibraryMissing, match="not installed") as error:
        load_teacher_file(path)
    assert "dlkd[transformers]" in error.value.hint
