"""Test that runs the commands in docs/using.md."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.local_service import read_ready_line, run_local_service, stop

PAGE = Path(__file__).resolve().parents[2] / "docs" / "using.md"
COMMANDS = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.timeout(900)  # the page runs a dozen training jobs, one after the other
@pytest.mark.skipif(shutil.which("curl") is None, reason="requires curl")
def test_using_page_commands_work(shared_data: Path, few_cifar10: Path, tmp_path: Path) -> None:
    shutil.copy(shared_data / "teachers" / "cifar10_resnet20-12fca82f.th", tmp_path / "teacher.th")
    shutil.copy(few_cifar10, tmp_path / "images.zip")
    with run_local_service(tmp_path / "data") as process:
        text = "\n".join(COMMANDS).replace("http://127.0.0.1:8000", read_ready_line(process)["url"])
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        script = ["bash", "-euo", "pipefail", "-c", text]
        # `dlkd login` must not change the user's configuration.
        config = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
        environment = {**os.environ, "PATH": path, **config}
        commands = subprocess.run(
            script, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert commands.returncode == 0, commands.stdout + commands.stderr
        assert stop(process)[0] == 0
    assert "event: teacher" in commands.stdout
    for name in (
        "students/student.onnx",
        "students/student.safetensors",
        "student.onnx",
        "out/student.onnx",
        "out/report.json",
    ):
        assert (tmp_path / name).stat().st_size > 1000
