"""What a run shows on a terminal and in a log, and how it takes Ctrl-C."""

import io
import json
import signal
from pathlib import Path

import pytest
from rich.console import Console

from dlkd_core.events import PhaseStarted, StepDone, TeacherProved
from dlkd_core.terminal import _Interrupt, _proof, _summary, run_to_report

from .conftest import MakeSpec


def test_a_log_gets_plain_lines_and_the_folder_the_report(make_spec: MakeSpec, tmp_path: Path) -> None:
    log = io.StringIO()
    report = run_to_report(make_spec(training={"epochs": 2}), tmp_path, Console(file=log, width=200))
    lines = log.getvalue().splitlines()
    assert [line for line in lines if line.endswith("…")] == ["reading …", "training …", "evaluating …", "exporting …"]
    top1 = f"{report['metrics']['student']['top1']:.1%}"
    assert [line for line in lines if line.startswith("epoch")][-1] == f"epoch 2: top-1 {top1}"
    (row,) = [line for line in lines if "student" in line]
    assert top1 in row
    assert f"{report['parameters']:,}" in row
    assert "\x1b" not in log.getvalue()
    assert json.loads((tmp_path / "report.json").read_text()) == report


def test_a_terminal_gets_a_bar_with_the_accuracy(make_spec: MakeSpec, tmp_path: Path) -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=120, force_terminal=True, _environ={"TERM": "xterm"})
    run_to_report(make_spec(training={"epochs": 2}), tmp_path, console)
    assert "epoch 2/2" in screen.getvalue()
    assert "top-1 " in screen.getvalue()
    assert "epoch 2: top-1" not in screen.getvalue()


STEP = StepDone(epoch=1, epochs=1, step=1, steps=2)


def press() -> None:
    """Ctrl-C that is expected to wait."""
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        pytest.fail("it did not wait")


def test_ctrl_c_waits_for_the_end_of_a_training_step() -> None:
    with _Interrupt() as interrupt:
        interrupt.follow(PhaseStarted(phase="training"))
        interrupt.follow(STEP)
        press()
        with pytest.raises(KeyboardInterrupt):
            interrupt.follow(STEP)


def test_a_second_ctrl_c_does_not_wait() -> None:
    with _Interrupt() as interrupt:
        interrupt.follow(PhaseStarted(phase="training"))
        press()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("phase", ["reading", "proving", "evaluating", "exporting"])
def test_ctrl_c_outside_training_does_not_wait(phase: str) -> None:
    with _Interrupt() as interrupt:
        interrupt.follow(PhaseStarted(phase="training"))
        interrupt.follow(PhaseStarted.model_validate({"phase": phase}))
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_what_listened_to_ctrl_c_before_does_so_again() -> None:
    before = signal.getsignal(signal.SIGINT)
    with _Interrupt():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"top1": 0.5}, "teacher resnet8: 50.0% of 60 images"),
        ({"top1": None}, "teacher resnet8: 60 images without labels"),
        ({"top1": None, "knn_top1": 0.75}, "teacher resnet8, by nearest neighbours: 75.0% of 60 images"),
    ],
)
def test_a_teachers_proof_is_told_as_what_it_is(found: dict[str, float | None], told: str) -> None:
    proof = TeacherProved.model_validate({"architecture": "resnet8", "parameters": 1, "images": 60, "normalization": {}, **found})
    assert _proof(proof) == told


@pytest.mark.parametrize(
    ("student", "title", "figure"),
    [
        ({"top1": 0.5, "agreement": 0.9}, "top-1", "50.0%"),
        ({"top1": None, "knn_top1": 0.75}, "k-NN top-1", "75.0%"),
        ({"top1": None, "agreement": 0.9}, "agreement", "90.0%"),
        ({"top1": None}, "agreement", ""),
    ],
)
def test_the_summary_shows_what_is_known_of_the_student(student: dict[str, float | None], title: str, figure: str) -> None:
    cost = {"parameters": 7, "latency_ms": 1.0}
    table = _summary({"metrics": {"teacher": {"top1": None, **cost}, "student": {**student, **cost}}})
    shown = {str(column.header): list(column.cells) for column in table.columns}
    assert shown[title] == ["", figure]
