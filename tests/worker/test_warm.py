"""The trainer in waiting."""

import os
from collections.abc import Iterator

import pytest

from tests.worker.conftest import scripted, soon
from worker.process import Trainer
from worker.warm import Warm


class Taken(list[Trainer]):
    """Trainers that are ended with the test."""

    def from_(self, warm: Warm) -> Trainer:
        self.append(warm.take())
        return self[-1]


@pytest.fixture
def warm() -> Iterator[Warm]:
    warm = Warm(scripted(""), threads=3)
    yield warm
    warm.close()


@pytest.fixture
def taken() -> Iterator[Taken]:
    taken = Taken()
    yield taken
    for trainer in taken:
        trainer.end()


def test_the_one_that_waits_is_taken_once(warm: Warm, taken: Taken) -> None:
    warm.refill()
    waiting = warm._waiting
    warm.refill()
    assert warm._waiting is waiting
    assert taken.from_(warm) is waiting
    assert taken.from_(warm) is not waiting


def test_one_that_died_while_it_waited_is_replaced(warm: Warm, taken: Taken) -> None:
    warm.refill()
    waiting = warm._waiting
    assert waiting is not None
    waiting.kill()
    soon(lambda: not waiting.alive())
    trainer = taken.from_(warm)
    assert trainer is not waiting
    assert trainer.alive()


def test_closing_ends_the_one_that_waits_and_starts_no_more(warm: Warm) -> None:
    warm.refill()
    waiting = warm._waiting
    assert waiting is not None
    warm.close()
    assert not waiting.alive()
    warm.refill()
    assert warm._waiting is None


def test_trainers_see_their_threads_and_no_secret(monkeypatch: pytest.MonkeyPatch, taken: Taken) -> None:
    monkeypatch.setenv("DLKD_DATABASE_URL", "postgresql://dlkd:secret@db/dlkd")
    trainer = taken.from_(Warm(scripted("import os; print(os.environ)"), threads=3))
    trainer._send(b"{}\n")
    seen = (trainer.next_line(60) or b"").decode()
    assert "'OMP_NUM_THREADS': '3'" in seen
    assert "secret" not in seen
    assert "secret" in os.environ["DLKD_DATABASE_URL"]
