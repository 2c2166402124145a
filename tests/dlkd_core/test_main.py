"""`python -m dlkd_core spec.json out/`, as somebody types it."""

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
from dlkd_core.checkpoint import FILE


def written(path: Path, spec: dict[str, Any]) -> Path:
    path.write_text(json.dumps(spec))
    return path


def short(stripes: Path, **parts: Any) -> dict[str, Any]:
    """A plain run over the stripes; keywords replace parts of the spec."""
    training = {"epochs": 60, "batch_size": 16, "learning_rate": 0.05, "flip": False}
    base = {"student": {"architecture": "resnet8"}, "dataset": {"path": str(stripes)}, "export": ["safetensors"]}
    return {**base, "training": training, **parts}


def test_a_run_that_is_interrupted_leaves_a_checkpoint_and_goes_on_from_it_to_its_report(tmp_path: Path, stripes: Path) -> None:
    command = [sys.executable, "-m", "dlkd_core", str(written(tmp_path / "spec.json", short(stripes))), str(tmp_path / "out")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("training"):
                break
        time.sleep(0.5)  # anywhere before the first epoch's end, where a checkpoint would be saved anyway
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130, rest
    assert "Stopped. Run again with --resume to go on" in rest
    step = torch.load(tmp_path / "out" / FILE, weights_only=True)["step"]
    assert not (tmp_path / "out" / "report.json").exists()

    again = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=True)
    assert again.stdout == ""
    assert f"Training goes on after step {step} of 480." in again.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["architecture"] == "resnet8"
    assert report["metrics"]["student"]["top1"] > 0.8
    assert report["lineage"]["steps"] == 480
    assert (tmp_path / "out" / "student.safetensors").is_file()


def test_images_that_memory_is_not_to_hold_are_kept_in_the_cache(tmp_path: Path, stripes: Path) -> None:
    spec = written(tmp_path / "spec.json", short(stripes, training={"max_steps": 2}))
    kept = {}
    for name, options in (("beside", ["--cache", str(tmp_path / "cache")]), ("inside", [])):
        assert main([str(spec), str(tmp_path / name), "--memory", "0", *options]) == 0
        folder = tmp_path / "cache" if options else tmp_path / name / "data"
        (file,) = folder.iterdir()
        kept[name] = (file.name, file.read_bytes())
    assert kept["beside"] == kept["inside"]
    assert not (tmp_path / "beside" / "data").exists()
    assert main([str(spec), str(tmp_path / "memory")]) == 0
    assert not (tmp_path / "memory" / "data").exists()


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"student": {"architecture": "resnet-20"}}, ["student.architecture", "Did you mean", "resnet20"]),
        ({"method": {"name": "dlkd"}}, ["The method dlkd needs a teacher", "leave method out"]),
        ({"training": {"epochs": 0}}, ["training.epochs", "greater than or equal to 1"]),
        ({"trainning": {}}, ["trainning", "not permitted"]),
    ],
)
def test_a_bad_spec_is_answered_at_once_without_torch_by_words_that_say_what_to_do(
    tmp_path: Path, stripes: Path, parts: dict[str, Any], words: list[str]
) -> None:
    spec = written(tmp_path / "spec.json", short(stripes, **parts))
    code = f"import sys; from dlkd_core.__main__ import main; print(main([{str(spec)!r}, 'out']), 'torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert result.stdout.split() == ["1", "False"]
    assert [word for word in words if word not in " ".join(result.stderr.split())] == []
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("content", [None, "", "{", "[]"])
def test_a_spec_that_is_no_json_object_or_not_there_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    if content is not None:
        (tmp_path / "spec.json").write_text(content)
    assert main([str(tmp_path / "spec.json"), str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert any(words in said for words in ("Invalid JSON", "No such file", "should be an object"))


def test_a_failure_of_the_run_is_told_with_its_hint_and_code(
    tmp_path: Path, stripes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "teacher.pth").write_text("see the other folder")
    spec = short(stripes, teacher={"path": str(tmp_path / "teacher.pth")})
    assert main([str(written(tmp_path / "spec.json", spec)), str(tmp_path / "out")]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "The file is no checkpoint: it is text." in said
    assert "Save the weights with torch.save" in said
    assert "(checkpoint_unreadable)" in said


def test_without_resume_a_checkpoint_is_not_looked_at_and_with_it_another_runs_is_refused(
    tmp_path: Path, stripes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = {"epochs": 1, "batch_size": 16}
    spec, out = written(tmp_path / "spec.json", short(stripes, training=one)), tmp_path / "out"
    assert main([str(spec), str(out), "--resume"]) == 0  # nothing there yet: from the beginning
    written(spec, short(stripes, training={**one, "seed": 5}))
    assert main([str(spec), str(out), "--resume"]) == 1
    assert "(checkpoint_corrupt)" in capsys.readouterr().err
    assert main([str(spec), str(out)]) == 0
    assert json.loads((out / "report.json").read_text())["lineage"]["seed"] == 5
