"""The bundle, as somebody unpacks it who has nothing of ours."""

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
from dlkd_core.teachers.load import inspect_teacher
from registry.bundles import opened


def bundle(stripes: Path, folder: Path, *formats: str) -> tuple[Path, dict[str, Any]]:
    """A short run's bundle, unpacked, and the run's report."""
    spec = {
        "name": "stripes",
        "student": {"architecture": "resnet8"},
        "dataset": {"path": stripes},
        "training": {"epochs": 1, "batch_size": 16, "flip": False},
        "export": ["bundle", *formats],
    }
    seen = list(run(DistillationSpec.model_validate(spec), folder))
    assert [event.format for event in seen if isinstance(event, events.FileExported)][-1] == "bundle"
    with zipfile.ZipFile(folder / "student.zip") as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked", seen[-1].report  # type: ignore[union-attr]  # the last event


@pytest.fixture(scope="module")
def unpacked(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    return bundle(stripes, tmp_path_factory.mktemp("bundle"), "onnx")


def test_it_holds_the_files_the_card_the_configuration_and_the_lineage(unpacked: tuple[Path, dict[str, Any]]) -> None:
    folder, report = unpacked
    assert {path.name for path in folder.iterdir()} == {
        *("README.md", "config.json", "lineage.json", "report.json", "manifest.json", "student.onnx", "student.safetensors")
    }
    manifest = json.loads((folder / "manifest.json").read_text())
    told = {file["name"]: file["sha256"] for file in manifest["files"]}
    assert told == {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.name != "manifest.json"}
    config = json.loads((folder / "config.json").read_text())
    assert (config["architecture"], config["classes"]) == ("resnet8", ["diagonal", "horizontal", "vertical"])
    assert json.loads((folder / "lineage.json").read_text()) == report["lineage"]


def test_a_registry_takes_it(unpacked: tuple[Path, dict[str, Any]]) -> None:
    folder, report = unpacked
    with opened(folder.parent / "student.zip", limit=2**30) as found:
        assert {file.name: b"".join(found.read(file)) for file in found.files} == {
            name: (folder / name).read_bytes() for name in ("student.onnx", "student.safetensors")
        }
        assert (found.report["architecture"], found.report["parameters"]) == (report["architecture"], report["parameters"])


def test_the_card_tells_what_was_measured(unpacked: tuple[Path, dict[str, Any]]) -> None:
    folder, report = unpacked
    text = (folder / "README.md").read_text()
    assert text.startswith("---\nlicense:")
    assert f"| top-1 | {report['metrics']['student']['top1']:.2%} |" in text
    assert "student.onnx" in text
    assert report["lineage"]["run"] in text


def test_its_snippet_works_as_pasted(unpacked: tuple[Path, dict[str, Any]]) -> None:
    assert run_snippet(unpacked[0]) in {"diagonal", "horizontal", "vertical"}


def test_without_a_graph_the_snippet_takes_the_weights(stripes: Path, tmp_path: Path) -> None:
    assert run_snippet(bundle(stripes, tmp_path)[0]) in {"diagonal", "horizontal", "vertical"}


def test_its_weights_can_teach(unpacked: tuple[Path, dict[str, Any]]) -> None:
    assert inspect_teacher(unpacked[0] / "student.safetensors")["architecture"] == "resnet8"


def run_snippet(folder: Path) -> str:
    """What the card's Python says of a picture."""
    Image.new("RGB", (20, 30), "red").save(folder / "picture.png")
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
