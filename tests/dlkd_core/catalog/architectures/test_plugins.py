"""Tests for architectures from installed packages, with a small package in a temporary folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ENTRY_SOURCE = """
from dlkd_core.catalog.architectures.architecture import Architecture, ArchitectureOptions

class TinyOptions(ArchitectureOptions):
    channels: int = 8

TINY = Architecture(
    name={name!r},
    family="mine",
    target="my_networks.tiny:build",
    options=TinyOptions,
    min_size=6,
    source="here",
)
NOT_AN_ENTRY = object()
TIMM_FAMILY_ENTRY = TINY.model_copy(update={{"family": "timm"}})
"""
NETWORK_SOURCE = """
import torch.nn.functional as F
from torch import nn

from dlkd_core.models.network import Network

class Tiny(nn.Module):
    def __init__(self, classes, channels):
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, padding=1)
        self.block = nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1)
        self.classifier = nn.Linear(2 * channels, classes)

    def forward(self, x):
        return self.classifier(F.relu(self.block(F.relu(self.stem(x)))).mean(dim=(2, 3)))

def build(name, num_classes, options):
    return Network(Tiny(num_classes, options.channels), "classifier", ("stem", "block"))
"""


def install_package(
    folder: Path, name: str = "tiny_cnn", value: str = "my_networks.entries:TINY"
) -> Path:
    """Write a package to `folder` as if it were installed, with an entry point in its metadata."""
    package, metadata = folder / "my_networks", folder / "my_networks-1.0.dist-info"
    package.mkdir(parents=True)
    metadata.mkdir()
    (package / "__init__.py").touch()
    (package / "entries.py").write_text(ENTRY_SOURCE.format(name=name))
    (package / "tiny.py").write_text(NETWORK_SOURCE)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-networks\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[dlkd_core.architectures]\ntiny = {value}\n")
    return folder


def run_python(site: Path, code: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).resolve().parents[4]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(root)])}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )


LIST_SCRIPT = """
import json, sys
from dlkd_core.catalog import describe_catalog, find_architecture
entries = describe_catalog()["architectures"]
(entry,) = [entry for entry in entries if entry["name"] == "tiny_cnn"]
options, min_size = list(entry["schema"]["properties"]), find_architecture("tiny_cnn").min_size
print(json.dumps([entry["source"], options, min_size, "torch" in sys.modules]))
"""


def test_the_catalog_lists_an_installed_architecture_without_torch(tmp_path: Path) -> None:
    result = run_python(install_package(tmp_path), LIST_SCRIPT)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == ["here", ["in_channels", "channels"], 6, False]


TRAIN_SCRIPT = """
import json, sys
from pathlib import Path
from dlkd_core import events
from dlkd_core.pipeline import run
from dlkd_core.spec import DistillationSpec
from dlkd_core.teachers.loading import load_teacher_file

images, out = map(Path, sys.argv[1:])
student = {"architecture": "tiny_cnn", "options": {"channels": 4}}
training = {"max_steps": 1, "batch_size": 16}
spec = DistillationSpec.model_validate({
    "student": student,
    "dataset": {"path": images},
    "training": training,
    "export": ["safetensors", "onnx"],
})
*_, last = run(spec, out)
loaded = load_teacher_file(Path("teacher.pth"))
print(json.dumps([
    last.report["architecture"],
    last.report["parameters"],
    loaded.architecture,
    loaded.num_classes,
]))
"""


def test_an_installed_architecture_is_trained_and_recognized_in_a_checkpoint(
    tmp_path: Path, stripes: Path
) -> None:
    site = install_package(tmp_path / "site")
    shapes = {
        "stem.weight": (8, 3, 3, 3),
        "stem.bias": (8,),
        "block.weight": (16, 8, 3, 3),
        "block.bias": (16,),
        "classifier.weight": (9, 16),
        "classifier.bias": (9,),
    }
    teacher = {name: torch.rand(shape) for name, shape in shapes.items()}
    torch.save(teacher, tmp_path / "teacher.pth")
    code = TRAIN_SCRIPT.replace(
        "sys.argv[1:]", repr((str(stripes), str(tmp_path / "out")))
    ).replace('"teacher.pth"', repr(str(tmp_path / "teacher.pth")))
    result = run_python(site, code)
    assert result.returncode == 0, result.stderr
    parameters = (4 * 27 + 4) + (8 * 36 + 8) + (8 * 3 + 3)
    assert json.loads(result.stdout) == ["tiny_cnn", parameters, "tiny_cnn", 9]
    assert (tmp_path / "out" / "student.onnx").exists()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "resnet20",
            "my_networks.entries:TINY",
            "declares an architecture called 'resnet20', but this name already exists",
        ),
        (
            "timm/resnet26",
            "my_networks.entries:TINY",
            "declares an architecture called 'timm/resnet26'",
        ),
        ("tiny_cnn", "my_networks.entries:NOT_AN_ENTRY", "is of type object, not an Architecture"),
        ("tiny_cnn", "my_networks.nothing:TINY", "cannot be loaded: ModuleNotFoundError"),
        (
            "tiny_cnn",
            "my_networks.entries:TIMM_FAMILY_ENTRY",
            "uses the reserved family timm for 'tiny_cnn'",
        ),
    ],
)
def test_an_invalid_entry_is_rejected_when_the_catalog_is_loaded(
    tmp_path: Path, name: str, value: str, message: str
) -> None:
    result = run_python(install_package(tmp_path, name, value), "import dlkd_core.catalog")
    assert result.returncode != 0
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("dlkd_core.errors.PackageInvalid: The entry point tiny = ")
    assert "of the package my-networks" in last
    assert message in last
