"""`make demo`, as the README promises it."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def demo(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    places = ["--out", str(tmp_path / "out"), "--service", str(tmp_path / "data")]
    environment = {**{name: value for name, value in os.environ.items() if not name.startswith("DLKD_")}, "COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, "-m", "dlkd_client.demo", *places, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_digits_are_distilled_compared_downloaded_and_checked(tmp_path: Path) -> None:
    done = demo(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    said = " ".join(done.stdout.split())  # long paths break lines
    for row in ("teacher wrn_16_2", "resnet8 alone", "resnet8 by dlkd", "sha256 as announced"):
        assert row in said
    assert (tmp_path / "out" / "distilled" / "student.onnx").exists()


def test_a_users_own_teacher_proves_itself_and_is_distilled(tmp_path: Path, shared_data: Path, few_cifar10: Path) -> None:
    teacher = shared_data / "teachers" / "cifar10_resnet56-4bfd9763.th"
    done = demo(tmp_path, "--teacher", str(teacher), "--data", str(few_cifar10), "--student", "resnet8")
    assert done.returncode == 0, done.stdout + done.stderr
    proof = done.stdout.index("  teacher resnet56: 9")
    assert proof < done.stdout.index("Download the student")
    assert "of 300 evaluation images" in done.stdout


def test_a_failed_step_is_named_and_the_status_is_not_zero(tmp_path: Path, digits: Path) -> None:
    (tmp_path / "teacher.pth").write_text("no checkpoint")
    done = demo(tmp_path, "--teacher", str(tmp_path / "teacher.pth"), "--data", str(digits), "--student", "resnet8")
    assert done.returncode == 1
    assert "demo failed at: Bring the teacher" in done.stdout
