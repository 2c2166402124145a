"""What docs/using.md tells people to type does what it says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service import ready, stopped, up

PAGE = Path(__file__).resolve().parents[2] / "docs" / "using.md"
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.timeout(900)  # a dozen trainings, one after the other
@pytest.mark.skipif(shutil.which("curl") is None, reason="this machine has no curl")
def test_every_command_of_the_page_works_as_typed(shared_data: Path, few_cifar10: Path, tmp_path: Path) -> None:
    shutil.copy(shared_data / "teachers" / "cifar10_resnet20-12fca82f.th", tmp_path / "teacher.th")
    shutil.copy(few_cifar10, tmp_path / "images.zip")
    with up(tmp_path / "data") as process:
        text = "\n".join(BLOCKS).replace("http://127.0.0.1:8000", ready(process)["url"])
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        script = ["bash", "-euo", "pipefail", "-c", text]
        environment = {**os.environ, "PATH": path, "XDG_CONFIG_HOME": str(tmp_path / "config")}  # `dlkd login` is not the user's
        done = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert stopped(process)[0] == 0
    assert "event: teacher" in done.stdout
    for name in ("students/student.onnx", "students/student.safetensors", "student.onnx", "out/student.onnx", "out/report.json"):
        assert (tmp_path / name).stat().st_size > 1000
