"""How far a job is."""

from datetime import UTC, datetime, timedelta

from registry.progress import advance, done, public, restart

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_the_time_left_follows_the_pace_of_the_steps() -> None:
    progress = advance({}, {"step": 1, "steps": 101}, at(100))
    assert progress["eta_seconds"] is None  # one step has no pace
    progress = advance(progress, {"step": 51}, at(105))
    assert progress["eta_seconds"] == 5.0


def test_the_throughput_follows_the_pace_and_the_size_of_the_batch() -> None:
    progress = advance({}, {"step": 1, "steps": 101, "batch_size": 64}, at(100))
    assert progress["images_per_second"] is None
    progress = advance(progress, {"step": 51, "batch_size": 64}, at(105))
    assert progress["images_per_second"] == 640.0
    assert restart(progress)["images_per_second"] is None


def test_the_fraction_never_goes_back() -> None:
    progress = advance({}, {"step": 80, "steps": 100}, at(0))
    before = progress["fraction"]
    progress = advance(restart(progress), {"step": 50, "steps": 100}, at(10))
    assert progress["fraction"] == before
    progress = advance(progress, {"step": 90}, at(20))
    assert progress["fraction"] > before


def test_the_next_attempt_measures_its_own_pace() -> None:
    progress = advance(advance({}, {"step": 1, "steps": 100}, at(0)), {"step": 41}, at(10))
    progress = advance(restart(progress), {"step": 21}, at(1000))
    assert progress["eta_seconds"] is None
    assert advance(progress, {"step": 31}, at(1001))["eta_seconds"] == 6.9


def test_exporting_is_near_the_end_and_success_is_the_end() -> None:
    progress = advance({}, {"phase": "exporting"}, at(0))
    assert progress["fraction"] == 0.95
    assert done(progress)["fraction"] == 1.0


def test_clients_see_what_was_promised_and_no_more() -> None:
    assert set(public({})) == {"phase", "epoch", "epochs", "step", "steps", "fraction", "eta_seconds", "images_per_second"}
    assert set(public(advance({}, {"step": 1, "steps": 2, "other": 1}, at(0)))) == set(public({}))
