"""Which files of a zip archive are read."""

from pathlib import Path

import pytest
import timm
from safetensors.torch import load, save

from dlkd_core.errors import CheckpointRefused, CheckpointUnreadable
from dlkd_core.teachers.loading import inspect_teacher, load_teacher_file
from dlkd_core.teachers.transformers.network_folder import is_network_folder
from tests.dlkd_core.teachers.transformers.network_folders import (
    build_network,
    edit_config,
    save_files,
    write_zip,
)

OTHERS = {
    "README.md": b"# A network",
    ".gitattributes": b"*.bin filter=lfs",
    "training_args.bin": b"\x80\x04not read",
    "optimizer.pt": b"not read",
    "onnx/model.onnx": b"not read",
    "onnx/model_quantized.onnx": b"not read",
    "__MACOSX/._config.json": b"not read",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return save_files(build_network("resnet"), tmp_path_factory.mktemp("folder") / "network")


@pytest.mark.parametrize("prefix", ["", "network/", "a/b/"])
def test_other_files_and_outer_folders_do_not_matter(
    prefix: str, files: dict[str, bytes], tmp_path: Path
) -> None:
    content = {prefix + name: value for name, value in {**files, **OTHERS}.items()}
    loaded = load_teacher_file(write_zip(tmp_path / "network.zip", content))
    assert loaded.title == "transformers/resnet"


def test_the_outermost_folder_is_read_and_not_the_saved_steps(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    steps = edit_config(files, model_type="nonsense")
    nested = {f"checkpoint-500/{name}": content for name, content in steps.items()}
    path = write_zip(tmp_path / "network.zip", {**nested, **files})
    assert load_teacher_file(path).title == "transformers/resnet"


def test_two_networks_in_one_archive_are_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    content = {f"{part}/{name}": files[name] for part in ("a", "b") for name in files}
    with pytest.raises(CheckpointRefused, match="2 networks"):
        is_network_folder(write_zip(tmp_path / "networks.zip", content))


def test_numbered_parts_are_joined(files: dict[str, bytes], tmp_path: Path) -> None:
    weights = load(files["model.safetensors"])
    names = sorted(weights)
    parts = {
        f"model-0000{part + 1}-of-00002.safetensors": save(
            {name: weights[name] for name in names[part::2]}
        )
        for part in (0, 1)
    }
    content = {"config.json": files["config.json"], "model.safetensors.index.json": b"{}", **parts}
    whole = inspect_teacher(write_zip(tmp_path / "whole.zip", files))
    assert inspect_teacher(write_zip(tmp_path / "parts.zip", content)) == whole


def test_without_weights_the_hint_names_them(files: dict[str, bytes], tmp_path: Path) -> None:
    content = {"config.json": files["config.json"], "tf_model.h5": b"not read"}
    with pytest.raises(CheckpointUnreadable) as error:
        load_teacher_file(write_zip(tmp_path / "network.zip", content))
    assert "model.safetensors" in error.value.hint


def test_the_folder_of_a_timm_network_is_that_of_the_catalog(tmp_path: Path) -> None:
    network = timm.create_model("resnet10t", num_classes=3)
    weights = network.state_dict()
    wrapped = {f"timm_model.{name}": tensor for name, tensor in weights.items()}
    folders = {
        "timm": (b'{"architecture": "resnet10t", "num_classes": 3}', weights),
        "wrapper": (b'{"model_type": "timm_wrapper", "architecture": "resnet10t"}', wrapped),
    }
    for name, (config, tensors) in folders.items():
        content = {"config.json": config, "model.safetensors": save(tensors)}
        loaded = load_teacher_file(write_zip(tmp_path / f"{name}.zip", content))
        assert (loaded.architecture, loaded.num_classes) == ("timm/resnet10t", 3)
