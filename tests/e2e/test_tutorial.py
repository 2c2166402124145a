"""docs/tutorial.md and README.md as their readers type them, with CIFAR-10's own form of files, few images and one epoch."""

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

from tests.docs.blocks import DOCS, ROOT, blocks
from tests.service import ready, stopped, up

FILES = {"train": "data_batch_1.bin", "val": "test_batch.bin"}


def binary_cifar10(images: Path, path: Path) -> None:
    """An archive of folders in the form of CIFAR-10's binary version: a byte of label, then planes of red, green and blue."""
    records: dict[str, list[bytes]] = {"train": [], "val": []}
    with zipfile.ZipFile(images) as source:
        names = sorted(PurePosixPath(name) for name in source.namelist())
        classes = sorted({name.parts[1] for name in names})
        for name in names:
            pixels = np.asarray(Image.open(io.BytesIO(source.read(str(name)))).convert("RGB"))
            records[name.parts[0]].append(bytes([classes.index(name.parts[1])]) + pixels.transpose(2, 0, 1).tobytes())
    members = {FILES[split]: b"".join(parts) for split, parts in records.items()} | {
        "batches.meta.txt": "\n".join(classes).encode()
    }
    with tarfile.open(path, "w:gz") as target:
        for name, content in members.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            target.addfile(member, io.BytesIO(content))


def typed(command: list[str], folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def briefly(text: str) -> str:
    """The same with one epoch."""
    return re.sub(r'"epochs": \d+', '"epochs": 1', text)


@pytest.mark.timeout(900)
def test_the_tutorial_works_as_typed(shared_data: Path, few_cifar10: Path, tmp_path: Path) -> None:
    page = DOCS / "tutorial.md"
    shutil.copy(shared_data / "teachers" / "cifar10_resnet20-12fca82f.th", tmp_path / "resnet20-12fca82f.th")
    binary_cifar10(few_cifar10, tmp_path / "cifar-10-binary.tar.gz")
    commands = "\n".join(block.text for block in blocks(page, "sh") if block.text != "make up\n")
    with up(tmp_path / "data") as process:
        ready(process)
        said = typed(["bash", "-euo", "pipefail", "-c", briefly(commands)], tmp_path)
        assert stopped(process)[0] == 0
    assert '"architecture": "resnet20"' in said
    assert '"train": 200' in said
    for block in blocks(page, "python"):
        assert re.search(r"\[\d\]", typed([sys.executable, "-c", block.text], tmp_path))  # one image, one of ten classes


@pytest.mark.timeout(600)
def test_the_readme_s_python_works_as_pasted(shared_data: Path, few_cifar10: Path, tmp_path: Path) -> None:
    shutil.copy(shared_data / "teachers" / "cifar10_resnet56-4bfd9763.th", tmp_path / "resnet56.th")
    shutil.copy(few_cifar10, tmp_path / "cifar10.zip")
    (block,) = blocks(ROOT / "README.md", "python")
    with up(tmp_path / "data") as process:
        text = briefly(block.text).replace("http://127.0.0.1:8000", ready(process)["url"])
        typed([sys.executable, "-c", text], tmp_path)
        assert stopped(process)[0] == 0
    assert (tmp_path / "student.onnx").stat().st_size > 1000
