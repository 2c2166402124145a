"""Errors that the model loader raises if optional dependencies are missing."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("module", "loader", "message"),
    [
        ("torch", "load_torch", "Install dlkd[core]"),
        ("onnxruntime", "load_onnx", "Install onnxruntime"),
    ],
)
def test_a_missing_extra_is_named(module: str, loader: str, message: str) -> None:
    program = f"""
import sys
from pathlib import Path
sys.modules["{module}"] = None  # as if it were not installed
from dlkd_client.errors import MissingExtra
from dlkd_client.model_loader import {loader}
try:
    {loader}(Path("student"), ["a"])
except MissingExtra as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert message in done.stdout
