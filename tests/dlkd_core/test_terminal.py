"""Tests for the output of runs on a terminal and in a log, and for Ctrl-C."""

import io
import json
import signal
from pathlib import Path

import pytest
from rich.console import Console

from dlkd_core.events import PhaseStarted, StepFinished, TeacherVerified
from dlkd_core.terminal import (
    _build_summary_table,
    _format_teacher,
    _InterruptHandler,
    run_with_progress,
)
from tests.dlkd_core.conftest import MakeSpec


def test_a_log_gets_plain_lines_and_the_report_is_written(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    log = io.StringIO()
    report = run_with_progress(
        make_spec(training={"epochs": 2}), tmp_path, Console(file=log, width=200)
    )
    lines = log.getvalue().splitlines()
    assert [line for line in lines if line.endswith("…")] == [
        "reading …",
        "training …",
        "evaluating …",
        "exporting …",
    ]
    top1 = f"{report['metrics']['student']['top1']:.1%}"
    assert [line for line in lines if line.startswith("epoch")][-1] == f"epoch 2: top-1 {top1}"
    (row,) = [line for line in lines if "student" in line]
    assert top1 in row
    assert f"{report['parameters']:,}" in row
    assert "\x1b" not in log.getvalue()
    assert json.loads((tmp_path / "report.json").read_text()) == report


def test_a_terminal_gets_a_progress_bar_with_the_accuracy(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=120, force_terminal=True, _environ={"TERM": "xterm"})
    run_with_progress(make_spec(training={"epochs": 2}), tmp_path, console)
    assert "epoch 2/2" in screen.getvalue()
    assert "top-1 " in screen.getvalue()
    assert "epoch 2: top-1" not in screen.getvalue()


STEP_EVENT = StepFinished(epoch=1, epochs=1, step=1, steps=2)


def send_interrupt() -> None:
    """Send an interrupt to this process. Fail if it is raised at once instead of being deferred."""
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        pytest.fail("Ctrl-C was not delayed")


def test_ctrl_c_waits_for_the_end_of_a_training_step() -> None:
    with _InterruptHandler() as interrupt:
        interrupt.check(PhaseStarted(phase="training"))
        interrupt.check(STEP_EVENT)
        send_interrupt()
        with pytest.raises(KeyboardInterrupt):
            interrupt.check(STEP_EVENT)


def test_a_second_ctrl_c_does_not_wait() -> None:
    with _InterruptHandler() as interrupt:
        interrupt.check(PhaseStarted(phase="training"))
        send_interrupt()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("phase", ["reading", "proving", "evaluating", "exporting"])
def test_ctrl_c_outside_training_does_not_wait(phase: str) -> None:
    with _InterruptHandler() as interrupt:
        interrupt.check(PhaseStarted(phase="training"))
        interrupt.check(PhaseStarted.model_validate({"phase": phase}))
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_the_previous_ctrl_c_handler_is_restored() -> None:
    previous_handler = signal.getsignal(signal.SIGINT)
    with _InterruptHandler():
        assert signal.getsignal(signal.SIGINT) != previous_handler
    assert signal.getsignal(signal.SIGINT) == previous_handler


@pytest.mark.parametrize(
    ("metrics", "line"),
    [
        ({"top1": 0.5}, "teacher resnet8: top-1 50.0% on 60 images"),
        ({"top1": None}, "teacher resnet8: 60 images without labels"),
        ({"top1": None, "knn_top1": 0.75}, "teacher resnet8: k-NN top-1 75.0% on 60 images"),
    ],
)
def test_the_line_about_the_teacher_names_its_metric(
    metrics: dict[str, float | None], line: str
) -> None:
    event = TeacherVerified.model_validate(
        {"architecture": "resnet8", "parameters": 1, "images": 60, "normalization": {}, **metrics}
    )
    assert _format_teacher(event) == line


@pytest.mark.parametrize(
    ("student", "title", "value"),
    [
        ({"top1": 0.5, "agreement": 0.9}, "top-1", "50.0%"),
        ({"top1": None, "knn_top1": 0.75}, "k-NN top-1", "75.0%"),
        ({"top1": None, "agreement": 0.9}, "agreement", "90.0%"),
        ({"top1": None}, "agreement", ""),
    ],
)
def test_the_summary_shows_the_headline_metric_of_the_student(
    student: dict[str, float | None], title: str, value: str
) -> None:
    cost = {"parameters": 7, "latency_ms": 1.0}
    table = _build_summary_table(
        {"metrics": {"teacher": {"top1": None, **cost}, "student": {**student, **cost}}}
    )
    columns = {str(column.header): list(column.cells) for column in table.columns}
    assert columns[title] == ["", value]
