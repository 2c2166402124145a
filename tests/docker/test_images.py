"""Tests of the Dockerfiles: hadolint rules, image contents, and the user that images run as."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from registry.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
HADOLINT = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which(
    "hadolint"
)


@pytest.mark.skipif(
    HADOLINT is None, reason="hadolint has no wheel for this machine and is not on the PATH"
)
@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.stem)
def test_hadolint_finds_nothing(file: Path) -> None:
    result = subprocess.run(
        [str(HADOLINT), "--failure-threshold", "info", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.stem)
def test_images_run_as_a_numeric_user_and_set_known_settings(file: Path) -> None:
    text = file.read_text()
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001:10001"]
    names = set(re.findall(r"\b(DLKD_\w+)=", text))
    assert names <= {f"DLKD_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.stem)
def test_copied_files_exist_and_are_not_ignored(file: Path) -> None:
    copied = {
        name
        for line in re.findall(r"^COPY (.+) /src\S*$", file.read_text(), re.MULTILINE)
        for name in line.split()
    }
    not_ignored = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert all((ROOT / name).exists() for name in copied)
    assert copied <= not_ignored


def test_the_api_image_does_not_install_torch() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    (extra,) = re.findall(
        r"^ARG EXTRAS=(\w+)$", (ROOT / "docker" / "api.Dockerfile").read_text(), re.MULTILINE
    )
    requirements = [name for part in (extra, "registry", "otel") for name in extras[part]]
    assert "dlkd[registry]" in extras[extra]
    assert not [
        name
        for name in requirements
        if re.match(r"torch|timm|onnx|nvidia|dlkd\[.*(core|worker)", name)
    ]
