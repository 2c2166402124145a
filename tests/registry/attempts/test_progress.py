"""Job progress: fraction, remaining time and throughput."""

from datetime import UTC, datetime, timedelta

from registry.attempts.progress import advance, complete, restart, to_public

START = datetime(2026, 1, 1, tzinfo=UTC)


def time_after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_the_time_left_follows_from_the_pace() -> None:
    progress = advance({}, {"step": 1, "steps": 101}, time_after(100))
    assert progress["eta_seconds"] is None  # the speed cannot be measured from one step
    progress = advance(progress, {"step": 51}, time_after(105))
    assert progress["eta_seconds"] == 5.0


def test_the_throughput_follows_from_pace_and_batch_size() -> None:
    progress = advance({}, {"step": 1, "steps": 101, "batch_size": 64}, time_after(100))
    assert progress["images_per_second"] is None
    progress = advance(progress, {"step": 51, "batch_size": 64}, time_after(105))
    assert progress["images_per_second"] == 640.0
    assert restart(progress)["images_per_second"] is None


def test_the_fraction_never_decreases() -> None:
    progress = advance({}, {"step": 80, "steps": 100}, time_after(0))
    before = progress["fraction"]
    progress = advance(restart(progress), {"step": 50, "steps": 100}, time_after(10))
    assert progress["fraction"] == before
    progress = advance(progress, {"step": 90}, time_after(20))
    assert progress["fraction"] > before


def test_the_next_attempt_measures_its_own_pace() -> None:
    progress = advance(
        advance({}, {"step": 1, "steps": 100}, time_after(0)), {"step": 41}, time_after(10)
    )
    progress = advance(restart(progress), {"step": 21}, time_after(1000))
    assert progress["eta_seconds"] is None
    assert advance(progress, {"step": 31}, time_after(1001))["eta_seconds"] == 6.9


def test_the_fraction_is_95_percent_while_exporting_and_100_percent_at_the_end() -> None:
    progress = advance({}, {"phase": "exporting"}, time_after(0))
    assert progress["fraction"] == 0.95
    assert complete(progress)["fraction"] == 1.0


def test_a_job_with_a_baseline_is_half_done_when_the_student_is_trained() -> None:
    progress = advance({}, {"phase": "training", "has_baseline": True}, time_after(0))
    progress = advance(progress, {"step": 20, "steps": 100}, time_after(10))
    progress = advance(progress, {"step": 60}, time_after(50))
    assert progress["fraction"] == 0.285  # 0.95 * 60 / 200
    assert progress["eta_seconds"] == 140.0  # 40 and 100 steps of 1 s
    # The heartbeat combines updates, so the first step may arrive together with the phase.
    progress = advance(progress, {"phase": "baseline", "step": 70}, time_after(100))
    assert progress["fraction"] == 0.8075  # 0.95 * 170 / 200
    assert progress["eta_seconds"] is None
    progress = advance(progress, {"step": 80}, time_after(105))
    assert progress["eta_seconds"] == 10.0  # 20 steps of 0.5 s, without the teacher
    assert advance(progress, {"phase": "evaluating"}, time_after(106))["fraction"] == 0.95


def test_clients_see_only_the_public_fields() -> None:
    assert set(to_public({})) == {
        "phase",
        "epoch",
        "epochs",
        "step",
        "steps",
        "fraction",
        "eta_seconds",
        "images_per_second",
    }
    assert set(to_public(advance({}, {"step": 1, "steps": 2, "other": 1}, time_after(0)))) == set(
        to_public({})
    )
