"""Tests for the pool, which keeps one trainer idle and ready."""

import os
from collections.abc import Iterator

import pytest

from tests.worker.conftest import scripted_command, wait_until
from worker.trainer_pool import TrainerPool
from worker.trainer_process import TrainerProcess


class TakenTrainers(list[TrainerProcess]):
    """Trainers taken from a pool. The fixture ends them after the test."""

    def take_from(self, pool: TrainerPool) -> TrainerProcess:
        self.append(pool.take())
        return self[-1]


@pytest.fixture
def trainer_pool() -> Iterator[TrainerPool]:
    pool = TrainerPool(scripted_command(""), threads=3)
    yield pool
    pool.close()


@pytest.fixture
def taken_trainers() -> Iterator[TakenTrainers]:
    taken = TakenTrainers()
    yield taken
    for trainer in taken:
        trainer.end()


def test_the_idle_trainer_is_taken_once(
    trainer_pool: TrainerPool, taken_trainers: TakenTrainers
) -> None:
    trainer_pool.refill()
    idle = trainer_pool._idle
    trainer_pool.refill()
    assert trainer_pool._idle is idle
    assert taken_trainers.take_from(trainer_pool) is idle
    assert taken_trainers.take_from(trainer_pool) is not idle


def test_an_idle_trainer_that_died_is_replaced(
    trainer_pool: TrainerPool, taken_trainers: TakenTrainers
) -> None:
    trainer_pool.refill()
    idle = trainer_pool._idle
    assert idle is not None
    idle.kill()
    wait_until(lambda: not idle.is_alive())
    trainer = taken_trainers.take_from(trainer_pool)
    assert trainer is not idle
    assert trainer.is_alive()


def test_closing_ends_the_idle_trainer_and_starts_no_more(trainer_pool: TrainerPool) -> None:
    trainer_pool.refill()
    idle = trainer_pool._idle
    assert idle is not None
    trainer_pool.close()
    assert not idle.is_alive()
    trainer_pool.refill()
    assert trainer_pool._idle is None


def test_trainers_see_their_thread_count_but_no_secrets(
    monkeypatch: pytest.MonkeyPatch, taken_trainers: TakenTrainers
) -> None:
    monkeypatch.setenv("DLKD_DATABASE_URL", "postgresql://dlkd:secret@db/dlkd")
    trainer = taken_trainers.take_from(
        TrainerPool(scripted_command("import os; print(os.environ)"), threads=3)
    )
    trainer._send(b"{}\n")
    output = (trainer.next_line(60) or b"").decode()
    assert "'OMP_NUM_THREADS': '3'" in output
    assert "secret" not in output
    assert "secret" in os.environ["DLKD_DATABASE_URL"]
