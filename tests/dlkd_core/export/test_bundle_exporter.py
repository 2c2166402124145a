"""Tests for the bundle exporter. They unpack the bundle and use it without this project."""

import json
import re
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dlkd_core import events
from dlkd_core.pipeline import run
from dlkd_core.spec import DistillationSpec
from dlkd_core.teachers.loading import inspect_teacher
from registry.models.bundles import open_bundle


def export_bundle(stripes: Path, folder: Path, *formats: str) -> tuple[Path, dict[str, Any]]:
    """Perform a short run and return the folder of the unpacked bundle and the report."""
    spec = {
        "name": "stripes",
        "student": {"architecture": "resnet8"},
        "dataset": {"path": stripes},
        "training": {"epochs": 1, "batch_size": 16, "flip": False},
        "export": ["bundle", *formats],
    }
    emitted = list(run(DistillationSpec.model_validate(spec), folder))
    exported = [event.format for event in emitted if isinstance(event, events.FileExported)]
    assert exported[-1] == "bundle"
    with zipfile.ZipFile(folder / "student.zip") as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked", emitted[-1].report  # type: ignore[union-attr]  # the last event is RunFinished


@pytest.fixture(scope="module")
def unpacked(
    stripes: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    return export_bundle(stripes, tmp_path_factory.mktemp("bundle"), "onnx")


def test_it_contains_files_card_configuration_and_lineage(
    unpacked: tuple[Path, dict[str, Any]],
) -> None:
    folder, report = unpacked
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "config.json",
        "lineage.json",
        "report.json",
        "manifest.json",
        "student.onnx",
        "student.safetensors",
    }
    manifest = json.loads((folder / "manifest.json").read_text())
    digests = {file["name"]: file["sha256"] for file in manifest["files"]}
    assert digests == {
        path.name: sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name != "manifest.json"
    }
    config = json.loads((folder / "config.json").read_text())
    assert (config["architecture"], config["classes"]) == (
        "resnet8",
        ["diagonal", "horizontal", "vertical"],
    )
    assert json.loads((folder / "lineage.json").read_text()) == report["lineage"]


def test_the_registry_accepts_it(unpacked: tuple[Path, dict[str, Any]]) -> None:
    folder, report = unpacked
    with open_bundle(folder.parent / "student.zip", max_unpacked_bytes=2**30) as bundle:
        assert {file.name: b"".join(bundle.read(file)) for file in bundle.model_files} == {
            name: (folder / name).read_bytes() for name in ("student.onnx", "student.safetensors")
        }
        assert (bundle.report["architecture"], bundle.report["parameters"]) == (
            report["architecture"],
            report["parameters"],
        )


def test_the_card_lists_the_measurements(unpacked: tuple[Path, dict[str, Any]]) -> None:
    folder, report = unpacked
    text = (folder / "README.md").read_text()
    assert text.startswith("---\nlicense:")
    assert f"| top-1 | {report['metrics']['student']['top1']:.2%} |" in text
    assert "student.onnx" in text
    assert report["lineage"]["run"] in text


def test_the_cards_snippet_runs(unpacked: tuple[Path, dict[str, Any]]) -> None:
    assert run_snippet(unpacked[0]) in {"diagonal", "horizontal", "vertical"}


def test_without_onnx_the_snippet_uses_the_weights(stripes: Path, tmp_path: Path) -> None:
    assert run_snippet(export_bundle(stripes, tmp_path)[0]) in {
        "diagonal",
        "horizontal",
        "vertical",
    }


def test_its_weights_can_be_used_as_a_teacher(unpacked: tuple[Path, dict[str, Any]]) -> None:
    assert inspect_teacher(unpacked[0] / "student.safetensors")["architecture"] == "resnet8"


def run_snippet(folder: Path) -> str:
    """Run the model card's Python code on an image and return what the code prints."""
    Image.new("RGB", (20, 30), "red").save(folder / "picture.png")
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()
