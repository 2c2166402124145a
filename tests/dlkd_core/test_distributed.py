"""Several processes make one run: the same steps, one set of files, and the run goes on with another number of them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from dlkd_core.__main__ import main
from dlkd_core.checkpoint import FILE
from dlkd_core.distributed import ALONE
from tests.dlkd_core.ranks import step_of

ROOT = Path(__file__).resolve().parents[2]
METHODS = ("plain", "dlkd", "dlkd_sup", "kd", "crd", "sp", "rkd", "vid", "seed", "reviewkd")


def torchrun(processes: int, *command: str) -> list[str]:
    return [
        sys.executable,
        *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)),
        *command,
    ]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def done(command: list[str]) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(command, env=environment(), cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result


@pytest.fixture(scope="module", params=[2, 3])
def ranks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each process saw of each method's step, and what they said to each other."""
    folder = tmp_path_factory.mktemp("ranks")
    done(torchrun(request.param, str(ROOT / "tests" / "dlkd_core" / "ranks.py"), str(folder), *METHODS))
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(request.param)]


def equal(ranks: list[dict[str, Any]], name: str, expected: dict[str, Tensor]) -> None:
    assert any(key.endswith("running_var") for key in expected)
    for rank in ranks:
        found = rank["steps"][name]
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            torch.testing.assert_close(found[key], value, rtol=1e-6, atol=1e-10, msg=told(key))


@pytest.mark.parametrize("method", METHODS)
def test_a_step_of_several_processes_is_that_of_one_in_loss_gradients_and_statistics(
    ranks: list[dict[str, Any]], tmp_path: Path, method: str
) -> None:
    equal(ranks, method, step_of(method, ALONE, tmp_path))


def test_there_may_be_fewer_images_than_processes_and_a_batch_may_come_in_parts(
    ranks: list[dict[str, Any]], tmp_path: Path
) -> None:
    equal(ranks, "fewer", step_of("dlkd", ALONE, tmp_path, images=2))
    equal(ranks, "parts", step_of("kd", ALONE, tmp_path, parts=3))


@pytest.mark.parametrize("method", ["dlkd", "crd"])
def test_later_steps_are_equal_too_with_their_momentum_and_memories(
    ranks: list[dict[str, Any]], tmp_path: Path, method: str
) -> None:
    equal(ranks, f"later {method}", step_of(method, ALONE, tmp_path, steps=6))


def test_what_could_differ_is_the_leaders_to_decide(ranks: list[dict[str, Any]]) -> None:
    words = [rank["words"] for rank in ranks]
    assert [one["agreed"] for one in words] == [5.0] * len(ranks)
    assert len({one["clock"] for one in words}) == 1
    assert all("read different inputs" in one["refused"] for one in words)


def test_memory_that_runs_out_ends_the_step_of_several_processes(ranks: list[dict[str, Any]]) -> None:
    assert [rank["words"]["parts"] for rank in ranks] == [1] * len(ranks)


def test_processes_draw_apart_in_the_network_and_alike_elsewhere(ranks: list[dict[str, Any]]) -> None:
    words = [rank["words"] for rank in ranks]
    assert all(torch.equal(one["drawn"], words[0]["drawn"]) for one in words)
    assert len({tuple(row.tolist()) for row in words[0]["drawn"]}) == 2 * len(ranks)
    assert len({one["next"].item() for one in words}) == 1


def told(name: str) -> Callable[[str], str]:
    return lambda text: f"{name}: {text}"


def written(path: Path, stripes: Path, *, teacher: Path | None = None, **training: Any) -> Path:
    """A short run over the stripes: 120 images in batches of 18, whose last has 12."""
    settings = {"epochs": 3, "batch_size": 18, "learning_rate": 0.01, "flip": False, "evaluate_every": 2, **training}
    spec = {"student": {"architecture": "resnet8"}, "dataset": {"path": str(stripes)}, "training": settings}
    taught = {"teacher": {"path": str(teacher)}, "method": {"name": "kd"}} if teacher else {}
    path.write_text(json.dumps({**spec, **taught, "export": ["safetensors"]}))
    return path


def close(folder: Path, expected: Path) -> None:
    """Weights and statistics after some twenty steps in float32: a share of the images is summed up in another order than all."""
    ours, theirs = (load_file(one / "student.safetensors") for one in (folder, expected))
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-3, atol=1e-4, msg=told(name))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory, stripes: Path) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    assert main([str(written(folder / "spec.json", stripes, learning_rate=0.1)), str(folder)]) == 0
    return folder / "student.safetensors"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, stripes: Path, teacher: Path) -> Path:
    """The folder of a run of one process."""
    folder = tmp_path_factory.mktemp("alone")
    assert main([str(written(folder / "spec.json", stripes, teacher=teacher)), str(folder / "out")]) == 0
    return folder / "out"


def test_two_processes_end_with_the_weights_of_one_and_write_one_set_of_files(
    tmp_path: Path, stripes: Path, teacher: Path, alone: Path
) -> None:
    out, spec = tmp_path / "out", written(tmp_path / "spec.json", stripes, teacher=teacher)
    result = done(torchrun(2, "-m", "dlkd_core", str(spec), str(out)))
    close(out, alone)
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in alone.iterdir())
    report = json.loads((out / "report.json").read_text())
    assert report["lineage"]["processes"] == 2
    assert report["lineage"]["run"] == json.loads((alone / "report.json").read_text())["lineage"]["run"]
    assert result.stderr.count("exporting …") == 1  # one process speaks


def test_a_run_of_two_that_is_interrupted_leaves_a_checkpoint_from_which_one_goes_on(
    tmp_path: Path, stripes: Path, teacher: Path, alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, out = written(tmp_path / "spec.json", stripes, teacher=teacher), tmp_path / "out"
    with subprocess.Popen(
        torchrun(2, str(ROOT / "tests" / "dlkd_core" / "slow.py"), str(spec), str(out)),
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("epoch 2"):
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert "Stopped. Run again with --resume to go on" in rest
    assert not (out / "report.json").exists()
    step = torch.load(out / FILE, weights_only=True)["step"]
    assert 14 <= step < 21
    assert main(["--resume", str(spec), str(out)]) == 0
    assert f"Training goes on after step {step} of 21." in capsys.readouterr().err
    close(out, alone)


def test_a_run_that_diverges_ends_in_all_processes_with_the_word_that_one_would_say(tmp_path: Path, stripes: Path) -> None:
    spec = written(tmp_path / "spec.json", stripes, learning_rate=100.0, weight_decay=1.0, epochs=30)
    command = torchrun(2, "-m", "dlkd_core", str(spec), str(tmp_path / "out"))
    result = subprocess.run(command, env=environment(), cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.count("(training_diverged)") == 2
    assert "Connection" not in result.stderr
