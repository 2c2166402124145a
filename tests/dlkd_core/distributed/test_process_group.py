"""Tests for distributed runs.

A distributed run takes the same steps as a run in a single process and writes one set of files.
Any number of processes can resume it.
"""

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
from torch import Tensor

from dlkd_core.__main__ import main
from dlkd_core.distributed.process_group import SINGLE_PROCESS
from dlkd_core.events import CHECKPOINT_FILE
from tests.dlkd_core.distributed.torchrun_program import run_step
from tests.dlkd_core.run_helpers import load_student_weights

ROOT = Path(__file__).resolve().parents[3]
TORCHRUN_PROGRAM = Path(__file__).with_name("torchrun_program.py")
SLOW_RUN_PROGRAM = Path(__file__).with_name("slow_run_program.py")
METHODS = ("plain", "dlkd", "dlkd_sup", "kd", "crd", "sp", "rkd", "vid", "seed", "reviewkd")


def torchrun(processes: int, *command: str) -> list[str]:
    return [
        sys.executable,
        *("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)),
        *command,
    ]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def run_checked(command: list[str]) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        command, env=environment(), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result


@pytest.fixture(scope="module", params=[2, 3])
def ranks(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """Run `torchrun_program` in several processes and return the results of each process."""
    folder = tmp_path_factory.mktemp("ranks")
    run_checked(torchrun(request.param, str(TORCHRUN_PROGRAM), str(folder), *METHODS))
    return [
        torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(request.param)
    ]


def assert_ranks_equal(ranks: list[dict[str, Any]], name: str, expected: dict[str, Tensor]) -> None:
    assert any(key.endswith("running_var") for key in expected)
    for rank in ranks:
        results = rank["steps"][name]
        assert results.keys() == expected.keys()
        for key, value in expected.items():
            torch.testing.assert_close(
                results[key], value, rtol=1e-6, atol=1e-10, msg=prefix_message(key)
            )


@pytest.mark.parametrize("method", METHODS)
def test_a_step_of_several_processes_equals_that_of_one_process(
    ranks: list[dict[str, Any]], tmp_path: Path, method: str
) -> None:
    assert_ranks_equal(ranks, method, run_step(method, SINGLE_PROCESS, tmp_path))


def test_fewer_images_than_processes_and_micro_batches_work(
    ranks: list[dict[str, Any]], tmp_path: Path
) -> None:
    assert_ranks_equal(ranks, "few images", run_step("dlkd", SINGLE_PROCESS, tmp_path, images=2))
    expected = run_step("kd", SINGLE_PROCESS, tmp_path, micro_batches=3)
    assert_ranks_equal(ranks, "micro-batches", expected)


@pytest.mark.parametrize("method", ["dlkd", "crd"])
def test_later_steps_with_momentum_and_memory_banks_are_equal_too(
    ranks: list[dict[str, Any]], tmp_path: Path, method: str
) -> None:
    assert_ranks_equal(
        ranks, f"later {method}", run_step(method, SINGLE_PROCESS, tmp_path, steps=6)
    )


def test_clock_and_broadcast_values_are_those_of_the_leader(ranks: list[dict[str, Any]]) -> None:
    facts = [rank["facts"] for rank in ranks]
    assert [rank_facts["broadcast"] for rank_facts in facts] == [5.0] * len(ranks)
    assert len({rank_facts["clock"] for rank_facts in facts}) == 1
    assert all("read different inputs" in rank_facts["inputs_error"] for rank_facts in facts)


def test_out_of_memory_ends_the_step_of_several_processes(ranks: list[dict[str, Any]]) -> None:
    assert [rank["facts"]["micro_batches"] for rank in ranks] == [1] * len(ranks)


def test_random_numbers_differ_inside_the_network_and_are_equal_elsewhere(
    ranks: list[dict[str, Any]],
) -> None:
    facts = [rank["facts"] for rank in ranks]
    random_rows = facts[0]["random_rows"]
    assert all(torch.equal(rank_facts["random_rows"], random_rows) for rank_facts in facts)
    assert len({tuple(row.tolist()) for row in random_rows}) == 2 * len(ranks)
    assert len({rank_facts["next_random"].item() for rank_facts in facts}) == 1


def prefix_message(name: str) -> Callable[[str], str]:
    return lambda text: f"{name}: {text}"


def write_spec(path: Path, stripes: Path, *, teacher: Path | None = None, **training: Any) -> Path:
    """Write the spec of a short run on 120 images, in batches of 18 and a last batch of 12."""
    settings = {
        "epochs": 3,
        "batch_size": 18,
        "learning_rate": 0.01,
        "schedule": {"name": "step"},
        "flip": False,
        "evaluate_every": 2,
        **training,
    }
    spec: dict[str, Any] = {
        "student": {"architecture": "resnet8"},
        "dataset": {"path": str(stripes)},
        "training": settings,
    }
    if teacher:
        spec |= {"teacher": {"path": str(teacher)}, "method": {"name": "kd"}}
    path.write_text(json.dumps({**spec, "export": ["safetensors"]}))
    return path


def assert_weights_close(folder: Path, expected: Path) -> None:
    """Assert that the weights and batch statistics of two runs are close.

    After about twenty float32 steps they differ slightly, because a distributed run sums
    over the images of a batch in another order.
    """
    weights, expected_weights = load_student_weights(folder), load_student_weights(expected)
    assert weights.keys() == expected_weights.keys()
    for name, value in expected_weights.items():
        torch.testing.assert_close(
            weights[name], value, rtol=1e-3, atol=1e-4, msg=prefix_message(name)
        )


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory, stripes: Path) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    spec = write_spec(folder / "spec.json", stripes, learning_rate=0.1)
    assert main([str(spec), str(folder)]) == 0
    return folder / "student.safetensors"


@pytest.fixture(scope="module")
def single_process_run(
    tmp_path_factory: pytest.TempPathFactory, stripes: Path, teacher: Path
) -> Path:
    """Perform a run in a single process, for comparison, and return the output folder."""
    folder = tmp_path_factory.mktemp("single")
    spec = write_spec(folder / "spec.json", stripes, teacher=teacher)
    assert main([str(spec), str(folder / "out")]) == 0
    return folder / "out"


def test_two_processes_train_the_weights_of_one_and_write_one_set_of_files(
    tmp_path: Path, stripes: Path, teacher: Path, single_process_run: Path
) -> None:
    out, spec = tmp_path / "out", write_spec(tmp_path / "spec.json", stripes, teacher=teacher)
    result = run_checked(torchrun(2, "-m", "dlkd_core", str(spec), str(out)))
    assert_weights_close(out, single_process_run)
    assert sorted(path.name for path in out.iterdir()) == sorted(
        path.name for path in single_process_run.iterdir()
    )
    report = json.loads((out / "report.json").read_text())
    expected_report = json.loads((single_process_run / "report.json").read_text())
    assert report["lineage"]["processes"] == 2
    assert report["lineage"]["run"] == expected_report["lineage"]["run"]
    assert result.stderr.count("exporting …") == 1  # only the leader process prints


def test_two_processes_also_share_the_training_of_the_baseline(
    tmp_path: Path, stripes: Path, teacher: Path
) -> None:
    path = write_spec(tmp_path / "spec.json", stripes, teacher=teacher, epochs=1)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"baseline": True}))
    assert main([str(path), str(tmp_path / "one")]) == 0
    run_checked(torchrun(2, "-m", "dlkd_core", str(path), str(tmp_path / "two")))
    one, two = (
        json.loads((tmp_path / name / "report.json").read_text())["metrics"]["baseline"]
        for name in ("one", "two")
    )
    assert (two["steps"], two["images"]) == (one["steps"], one["images"]) == (7, 60)
    assert two["top1"] == pytest.approx(one["top1"], abs=0.04)  # at most two images differ


def test_one_process_resumes_an_interrupted_run_of_two(
    tmp_path: Path,
    stripes: Path,
    teacher: Path,
    single_process_run: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spec, out = write_spec(tmp_path / "spec.json", stripes, teacher=teacher), tmp_path / "out"
    with subprocess.Popen(
        torchrun(2, str(SLOW_RUN_PROGRAM), str(spec), str(out)),
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
    assert "Stopped. Run again with --resume to continue" in rest
    assert not (out / "report.json").exists()
    step = torch.load(out / CHECKPOINT_FILE, weights_only=True)["step"]
    assert 14 <= step < 21
    assert main(["--resume", str(spec), str(out)]) == 0
    assert f"Resuming training after step {step} of 21." in capsys.readouterr().err
    assert_weights_close(out, single_process_run)


def test_a_diverging_run_ends_in_all_processes_with_the_same_error(
    tmp_path: Path, stripes: Path
) -> None:
    spec = write_spec(
        tmp_path / "spec.json", stripes, learning_rate=100.0, weight_decay=1.0, epochs=30
    )
    command = torchrun(2, "-m", "dlkd_core", str(spec), str(tmp_path / "out"))
    result = subprocess.run(
        command, env=environment(), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr.count("(training_diverged)") == 2
    assert "Connection" not in result.stderr
