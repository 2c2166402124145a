"""Tests for the command `python -m dlkd_core spec.json out/`."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from dlkd_core.__main__ import main
from dlkd_core.events import CHECKPOINT_FILE


def write_spec(path: Path, spec: dict[str, Any]) -> Path:
    path.write_text(json.dumps(spec))
    return path


def make_spec(stripes: Path, **parts: Any) -> dict[str, Any]:
    """Return the spec of a `plain` run. Keyword arguments replace parts of the spec."""
    training = {"epochs": 60, "batch_size": 16, "learning_rate": 0.05, "flip": False}
    base = {
        "student": {"architecture": "resnet8"},
        "dataset": {"path": str(stripes)},
        "export": ["safetensors"],
    }
    return {**base, "training": training, **parts}


def test_an_interrupted_run_leaves_a_checkpoint_and_resumes_from_it(
    tmp_path: Path, stripes: Path
) -> None:
    spec, out = write_spec(tmp_path / "spec.json", make_spec(stripes)), tmp_path / "out"
    command = [sys.executable, "-m", "dlkd_core", str(spec), str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("training"):
                break
        # The interrupt arrives within the first epoch, because each epoch ends with a checkpoint.
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130, rest
    assert "Stopped. Run again with --resume to continue" in rest
    step = torch.load(out / CHECKPOINT_FILE, weights_only=True)["step"]
    assert not (out / "report.json").exists()

    resumed = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=True)
    assert resumed.stdout == ""
    assert f"Resuming training after step {step} of 480." in resumed.stderr
    report = json.loads((out / "report.json").read_text())
    assert report["architecture"] == "resnet8"
    assert report["metrics"]["student"]["top1"] > 0.8
    assert report["lineage"]["steps"] == 480
    assert (out / "student.safetensors").is_file()


def test_images_over_the_memory_limit_are_kept_in_the_cache(tmp_path: Path, stripes: Path) -> None:
    spec = write_spec(tmp_path / "spec.json", make_spec(stripes, training={"max_steps": 2}))
    cached = {}
    for name, options in (("outside", ["--cache", str(tmp_path / "cache")]), ("inside", [])):
        assert main([str(spec), str(tmp_path / name), "--memory", "0", *options]) == 0
        folder = tmp_path / "cache" if options else tmp_path / name / "data"
        (file,) = folder.iterdir()
        cached[name] = (file.name, file.read_bytes())
    assert cached["outside"] == cached["inside"]
    assert not (tmp_path / "outside" / "data").exists()
    assert main([str(spec), str(tmp_path / "memory")]) == 0
    assert not (tmp_path / "memory" / "data").exists()


@pytest.mark.parametrize(
    ("parts", "texts"),
    [
        (
            {"student": {"architecture": "resnet-20"}},
            ["student.architecture", "Did you mean", "resnet20"],
        ),
        ({"method": {"name": "dlkd"}}, ["The method dlkd needs a teacher", "leave method out"]),
        ({"training": {"epochs": 0}}, ["training.epochs", "greater than or equal to 1"]),
        ({"trainning": {}}, ["trainning", "not permitted"]),
    ],
)
def test_an_invalid_spec_is_rejected_with_help_before_torch_is_loaded(
    tmp_path: Path, stripes: Path, parts: dict[str, Any], texts: list[str]
) -> None:
    spec = write_spec(tmp_path / "spec.json", make_spec(stripes, **parts))
    code = (
        "import sys; from dlkd_core.__main__ import main;"
        f" print(main([{str(spec)!r}, 'out']), 'torch' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert result.stdout.split() == ["1", "False"]
    assert [text for text in texts if text not in " ".join(result.stderr.split())] == []
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("content", [None, "", "{", "[]"])
def test_a_missing_spec_or_invalid_json_exits_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    if content is not None:
        (tmp_path / "spec.json").write_text(content)
    assert main([str(tmp_path / "spec.json"), str(tmp_path / "out")]) == 1
    output = capsys.readouterr().err
    assert any(text in output for text in ("Invalid JSON", "No such file", "should be an object"))


def test_an_error_of_the_run_is_printed_with_its_hint_and_code(
    tmp_path: Path, stripes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "teacher.pth").write_text("see the other folder")
    spec = make_spec(stripes, teacher={"path": str(tmp_path / "teacher.pth")})
    assert main([str(write_spec(tmp_path / "spec.json", spec)), str(tmp_path / "out")]) == 1
    output = " ".join(capsys.readouterr().err.split())
    assert "The file is not a checkpoint: it is text." in output
    assert "Save the weights with torch.save" in output
    assert "(checkpoint_unreadable)" in output


def test_a_checkpoint_is_read_only_with_resume_and_one_of_another_run_is_rejected(
    tmp_path: Path, stripes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training = {"epochs": 1, "batch_size": 16}
    spec = write_spec(tmp_path / "spec.json", make_spec(stripes, training=training))
    out = tmp_path / "out"
    assert main([str(spec), str(out), "--resume"]) == 0  # no checkpoint exists yet
    write_spec(spec, make_spec(stripes, training={**training, "seed": 5}))
    assert main([str(spec), str(out), "--resume"]) == 1
    assert "(checkpoint_corrupt)" in capsys.readouterr().err
    assert main([str(spec), str(out)]) == 0
    assert json.loads((out / "report.json").read_text())["lineage"]["seed"] == 5
