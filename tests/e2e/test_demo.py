"""Tests of the demo that `make demo` runs."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_demo(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    folders = ["--out", str(tmp_path / "out"), "--service", str(tmp_path / "data")]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("DLKD_")},
        "COLUMNS": "120",
    }
    return subprocess.run(
        [sys.executable, "-m", "dlkd_client.local.demo", *folders, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_digits_demo_distills_compares_and_verifies_a_student(tmp_path: Path) -> None:
    process = run_demo(tmp_path)
    assert process.returncode == 0, process.stdout + process.stderr
    output = " ".join(process.stdout.split())  # remove the line breaks in long paths
    for text in ("teacher wrn_16_2", "resnet8 alone", "resnet8 by dlkd", "sha256 verified"):
        assert text in output
    assert (tmp_path / "out" / "distilled" / "student.onnx").exists()


def test_a_teacher_of_the_user_is_verified_and_distilled(
    tmp_path: Path, shared_data: Path, few_cifar10: Path
) -> None:
    teacher = shared_data / "teachers" / "cifar10_resnet56-4bfd9763.th"
    process = run_demo(
        tmp_path, "--teacher", str(teacher), "--data", str(few_cifar10), "--student", "resnet8"
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert "recognized as resnet56" in process.stdout
    verification = process.stdout.index("  teacher resnet56: 9")
    assert verification < process.stdout.index("Download the student")
    assert "of 300 evaluation images" in process.stdout


def test_a_failed_step_is_named_and_the_exit_status_is_1(tmp_path: Path, digits: Path) -> None:
    (tmp_path / "teacher.pth").write_text("not a checkpoint")
    process = run_demo(
        tmp_path,
        "--teacher",
        str(tmp_path / "teacher.pth"),
        "--data",
        str(digits),
        "--student",
        "resnet8",
    )
    assert process.returncode == 1
    assert "Demo failed at: Prepare the teacher" in process.stdout
