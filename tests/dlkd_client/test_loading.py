"""What loading says where the plain install is not enough, and where the file is another one."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("module", "loader", "said"),
    [("torch", "load_torch", "install dlkd[core]"), ("onnxruntime", "load_onnx", "install onnxruntime")],
)
def test_a_missing_extra_is_named(module: str, loader: str, said: str) -> None:
    program = f"""
import sys
from pathlib import Path
sys.modules["{module}"] = None  # as if it were not installed
from dlkd_client.errors import MissingExtra
from dlkd_client.loading import {loader}
try:
    {loader}(Path("student"), ["a"])
except MissingExtra as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert said in done.stdout
