"""Progress display, with and without a terminal."""

from io import StringIO

from rich.console import Console

from dlkd_client.progress import ProgressBars, format_duration
from dlkd_client.responses import Job


def job(status: str, fraction: float, phase: str | None = None, **fields: object) -> Job:
    progress = {"phase": phase, "fraction": fraction, "epoch": 3, "epochs": 8, "eta_seconds": 61.0}
    return Job.model_validate({"id": "job_1", "status": status, "progress": progress, **fields})


def render(jobs: list[Job], *, terminal: bool) -> str:
    text = StringIO()
    with ProgressBars(
        Console(file=text, force_terminal=terminal, width=120, color_system=None)
    ) as bars:
        line = bars.add_line("small [one]")
        for state in jobs:
            line.show_job(state)
    return text.getvalue()


JOB_STATES = [
    job("queued", 0),
    *[job("running", step / 100, "training") for step in range(100)],
    job("succeeded", 0.99),
]


def test_without_a_terminal_a_line_is_printed_at_each_quarter_and_phase() -> None:
    lines = render(JOB_STATES, terminal=False).splitlines()
    assert [line.split("(")[-1] for line in lines] == [
        "0%)",
        "0%)",
        "25%)",
        "50%)",
        "75%)",
        "100%)",
    ]
    assert lines[2] == "small [one]: training epoch 3/8 · 1 min 01 s left (25%)"
    assert lines[-1] == "small [one]: succeeded (100%)"


def test_a_terminal_gets_a_bar_that_ends_full() -> None:
    text = render(JOB_STATES, terminal=True)
    assert "small [one]" in text
    assert "100% succeeded" in text


def test_a_failed_job_shows_its_error() -> None:
    error = {"code": "out_of_memory", "message": "There is not enough memory."}
    assert render([job("failed", 0.4, error=error)], terminal=False) == (
        "small [one]: failed There is not enough memory. (out_of_memory) (40%)\n"
    )


def test_a_retry_does_not_move_the_bar_backwards() -> None:
    lines = render(
        [job("running", 0.6, "training"), job("queued", 0.1)], terminal=False
    ).splitlines()
    assert lines[-1].endswith("(60%)")


def test_durations_are_formatted_in_hours_minutes_and_seconds() -> None:
    assert [format_duration(seconds) for seconds in (0.4, 59, 61, 3720)] == [
        "0 s",
        "59 s",
        "1 min 01 s",
        "1 h 02 min",
    ]
