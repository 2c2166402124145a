"""Tests that run the commands in docs/tutorial.md and README.md with few images and one epoch."""

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image

from tests.docs.code_blocks import DOCS, ROOT, code_blocks
from tests.support.local_service import read_ready_line, run_local_service, stop

CIFAR10_FILES = {"train": "data_batch_1.bin", "val": "test_batch.bin"}


def write_binary_cifar10(images: Path, path: Path) -> None:
    """Convert an archive of class folders to the binary format of CIFAR-10.

    Each record is one label byte, followed by the red, green and blue planes of the image.
    """
    records: dict[str, list[bytes]] = {"train": [], "val": []}
    with zipfile.ZipFile(images) as source:
        names = sorted(PurePosixPath(name) for name in source.namelist())
        classes = sorted({name.parts[1] for name in names})
        for name in names:
            pixels = np.asarray(Image.open(io.BytesIO(source.read(str(name)))).convert("RGB"))
            records[name.parts[0]].append(
                bytes([classes.index(name.parts[1])]) + pixels.transpose(2, 0, 1).tobytes()
            )
    members = {CIFAR10_FILES[split]: b"".join(parts) for split, parts in records.items()} | {
        "batches.meta.txt": "\n".join(classes).encode()
    }
    with tarfile.open(path, "w:gz") as target:
        for name, content in members.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            target.addfile(member, io.BytesIO(content))


def run_command(command: list[str], folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def shorten_training(text: str) -> str:
    """Return the commands with every number of epochs replaced by 1."""
    return re.sub(r'"epochs": \d+', '"epochs": 1', text)


@pytest.mark.timeout(900)
def test_tutorial_commands_work(shared_data: Path, few_cifar10: Path, tmp_path: Path) -> None:
    page = DOCS / "tutorial.md"
    shutil.copy(
        shared_data / "teachers" / "cifar10_resnet20-12fca82f.th", tmp_path / "resnet20-12fca82f.th"
    )
    write_binary_cifar10(few_cifar10, tmp_path / "cifar-10-binary.tar.gz")
    commands = "\n".join(
        block.text for block in code_blocks(page, "sh") if block.text != "make up\n"
    )
    with run_local_service(tmp_path / "data") as process:
        read_ready_line(process)
        output = run_command(
            ["bash", "-euo", "pipefail", "-c", shorten_training(commands)], tmp_path
        )
        assert stop(process)[0] == 0
    assert '"architecture": "resnet20"' in output
    assert '"train": 200' in output
    for block in code_blocks(page, "python"):
        # The snippet prints the class of one image.
        assert re.search(r"\[\d\]", run_command([sys.executable, "-c", block.text], tmp_path))


@pytest.mark.timeout(600)
def test_readme_python_works(shared_data: Path, few_cifar10: Path, tmp_path: Path) -> None:
    shutil.copy(shared_data / "teachers" / "cifar10_resnet56-4bfd9763.th", tmp_path / "resnet56.th")
    shutil.copy(few_cifar10, tmp_path / "cifar10.zip")
    (block,) = code_blocks(ROOT / "README.md", "python")
    with run_local_service(tmp_path / "data") as process:
        text = shorten_training(block.text).replace(
            "http://127.0.0.1:8000", read_ready_line(process)["url"]
        )
        run_command([sys.executable, "-c", text], tmp_path)
        assert stop(process)[0] == 0
    assert (tmp_path / "student.onnx").stat().st_size > 1000
