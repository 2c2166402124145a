"""A trainer process in its supervisor's hands: what it says, what it is told, and its certain end."""

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.worker.conftest import soon
from worker.process import Trainer
from worker.wire import Check

Start = Callable[[tuple[str, ...]], Trainer]
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
SLEEP = "import time\ntime.sleep(600)\n"
ECHO = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)\n"


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-c", code)


def parent_of(code: str, *, then: str) -> tuple[str, ...]:
    """A program whose child runs the code, and that goes on once the child has said its process id."""
    child = f"import os\n{code.partition(SLEEP)[0]}print(os.getpid(), flush=True)\n{SLEEP}"
    return python(f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-I', '-S', '-c', {child!r}])\n{then}")


def gone(pid: int) -> bool:
    """Whether the process has ended; whoever adopted it may not have looked yet."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def pid_said_by(trainer: Trainer) -> int:
    line = trainer.next_line(60)
    assert line is not None
    return int(line)


def test_lines_come_in_order_and_then_none_for_ever(start: Start) -> None:
    trainer = start(python("print('one'); print('two')"))
    assert [trainer.next_line(60) for _ in range(4)] == [b"one\n", b"two\n", None, None]


def test_a_silence_is_a_timeout_and_no_end(start: Start) -> None:
    trainer = start(python(ECHO))
    with pytest.raises(TimeoutError):
        trainer.next_line(0.01)
    trainer.stop()
    assert trainer.next_line(60) is not None


def test_the_log_keeps_its_last_hundred_lines_and_cuts_long_ones(start: Start) -> None:
    wrong = r"sys.stderr.buffer.write(b'caf\xe9\n')"
    trainer = start(
        python(f"import sys\nfor n in range(150): print(n, file=sys.stderr)\nprint('x' * 5000, file=sys.stderr)\n{wrong}")
    )
    assert trainer.next_line(60) is None
    assert trainer.end() == 0
    log = trainer.log_tail()
    assert (len(log), log[0], log[-3]) == (100, "52", "149")
    assert log[-2:] == ["x" * 2000, "caf\N{REPLACEMENT CHARACTER}"]


def test_a_request_and_a_stop_arrive_as_a_line_of_json_each(start: Start, tmp_path: Path) -> None:
    trainer = start(python(ECHO))
    request = Check(kind="check_teacher", path=tmp_path / "a.pt", directory=tmp_path, silence_seconds=30)
    trainer.ask(request)
    trainer.stop()
    first, second = trainer.next_line(60), trainer.next_line(60)
    assert Check.model_validate_json(first or b"") == request
    assert json.loads(second or b"") == {"stop": True}


def test_keep_alives_come_while_the_worker_is_entitled_to_the_job_and_no_longer(start: Start) -> None:
    trainer = start(python(ECHO))
    answers = [True, True, False, False, False]

    def entitled() -> bool:
        return answers.pop(0) if answers else False

    trainer.keep_alive(0.01, entitled)
    soon(lambda: not answers)
    trainer.stop()
    assert [json.loads(trainer.next_line(60) or b"") for _ in range(3)] == [{}, {}, {"stop": True}]


def test_a_trainer_that_ended_by_itself_keeps_its_status(start: Start) -> None:
    trainer = start(python("raise SystemExit(3)"))
    soon(lambda: not trainer.alive())
    assert trainer.end() == 3


def test_what_is_said_to_a_trainer_that_is_gone_is_no_error(start: Start) -> None:
    trainer = start(python(""))
    soon(lambda: not trainer.alive())
    trainer.stop()
    trainer.stop()
    assert trainer.end() == 0
    trainer.stop()
    assert trainer.end() == 0


def test_term_is_enough_for_a_trainer_that_heeds_it(start: Start) -> None:
    trainer = start(python(f"print('ready', flush=True)\n{SLEEP}"))
    trainer.next_line(60)
    assert trainer.end() == -signal.SIGTERM


def test_a_trainer_and_a_child_that_are_deaf_to_term_are_killed(start: Start) -> None:
    trainer = start(parent_of(DEAF + SLEEP, then=DEAF + SLEEP))
    child = pid_said_by(trainer)
    assert trainer.end() == -signal.SIGKILL
    soon(lambda: gone(child))


def test_a_child_that_a_trainer_left_behind_is_killed(start: Start) -> None:
    trainer = start(parent_of(DEAF + SLEEP, then=""))
    child = pid_said_by(trainer)
    soon(lambda: not trainer.alive())
    assert not gone(child)
    assert trainer.end() == 0
    soon(lambda: gone(child))


def test_kill_asks_nobody(start: Start) -> None:
    trainer = start(parent_of(DEAF + SLEEP, then=DEAF + SLEEP))
    child = pid_said_by(trainer)
    trainer.kill()
    soon(lambda: not trainer.alive() and gone(child))
    assert trainer.end() == -signal.SIGKILL


def test_fresh_lines_are_those_since_the_last_call_and_of_very_many_the_newest(start: Start) -> None:
    wait, say = "sys.stdin.readline()\n", "print('first', file=sys.stderr, flush=True)\n"
    trainer = start(python(f"import sys\n{wait}{say}{wait}for n in range(3000): print(n, file=sys.stderr)\n"))
    assert trainer.fresh_lines() == []
    trainer.stop()
    soon(lambda: trainer.log_tail() == ["first"])
    assert trainer.fresh_lines() == ["first"]
    assert trainer.fresh_lines() == []
    trainer.stop()
    assert trainer.next_line(60) is None
    trainer._readers[1].join(60)
    said, *rest = trainer.fresh_lines()
    assert (said, rest[0], rest[-1], len(rest)) == ("(2000 lines were left out here)", "2000", "2999", 1000)
