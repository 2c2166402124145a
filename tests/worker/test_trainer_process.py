"""Tests for `TrainerProcess`, the object through which a supervisor controls a trainer."""

import json
import signal
import sys
from pathlib import Path

import psutil
import pytest

from tests.worker.conftest import StartTrainer, wait_until
from worker.protocol import UploadCheckRequest
from worker.trainer_process import TrainerProcess

IGNORE_TERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
SLEEP = "import time\ntime.sleep(600)\n"
ECHO = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)\n"


def python_command(code: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-c", code)


def parent_command(code: str, *, then: str) -> tuple[str, ...]:
    """Return the command of a parent process that starts a child and then runs the code `then`.

    The child runs `code` and prints its own process id.
    """
    child = f"import os\n{code.partition(SLEEP)[0]}print(os.getpid(), flush=True)\n{SLEEP}"
    start_child = f"subprocess.Popen([sys.executable, '-I', '-S', '-c', {child!r}])"
    return python_command(f"import subprocess, sys\n{start_child}\n{then}")


def has_exited(pid: int) -> bool:
    """Return whether a process has ended, even if it has not been reaped yet."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def read_pid(trainer: TrainerProcess) -> int:
    line = trainer.next_line(60)
    assert line is not None
    return int(line)


def test_lines_come_in_order_and_are_followed_by_none(start_trainer: StartTrainer) -> None:
    trainer = start_trainer(python_command("print('one'); print('two')"))
    assert [trainer.next_line(60) for _ in range(4)] == [b"one\n", b"two\n", None, None]


def test_a_silent_trainer_raises_a_timeout_and_stays_usable(start_trainer: StartTrainer) -> None:
    trainer = start_trainer(python_command(ECHO))
    with pytest.raises(TimeoutError):
        trainer.next_line(0.01)
    trainer.request_stop()
    assert trainer.next_line(60) is not None


def test_the_log_tail_keeps_a_hundred_lines_and_cuts_long_ones(start_trainer: StartTrainer) -> None:
    code = r"""
import sys
for number in range(150): print(number, file=sys.stderr)
print('x' * 5000, file=sys.stderr, flush=True)
sys.stderr.buffer.write(b'caf\xe9\n')
"""
    trainer = start_trainer(python_command(code))
    assert trainer.next_line(60) is None
    assert trainer.end() == 0
    log = trainer.log_tail()
    assert (len(log), log[0], log[-3]) == (100, "52", "149")
    assert log[-2:] == ["x" * 2000, "caf\N{REPLACEMENT CHARACTER}"]


def test_a_request_and_a_stop_are_one_line_of_json_each(
    start_trainer: StartTrainer, tmp_path: Path
) -> None:
    trainer = start_trainer(python_command(ECHO))
    request = UploadCheckRequest(
        kind="check_teacher", path=tmp_path / "a.pt", directory=tmp_path, silence_seconds=30
    )
    trainer.send_request(request)
    trainer.request_stop()
    first, second = trainer.next_line(60), trainer.next_line(60)
    assert UploadCheckRequest.model_validate_json(first or b"") == request
    assert json.loads(second or b"") == {"stop": True}


def test_keep_alives_are_sent_while_the_worker_holds_the_lease(
    start_trainer: StartTrainer,
) -> None:
    trainer = start_trainer(python_command(ECHO))
    lease_states = [True, True, False, False, False]

    def holds_lease() -> bool:
        return lease_states.pop(0) if lease_states else False

    trainer.start_keep_alive(0.01, holds_lease)
    wait_until(lambda: not lease_states)
    trainer.request_stop()
    assert [json.loads(trainer.next_line(60) or b"") for _ in range(3)] == [{}, {}, {"stop": True}]


def test_a_trainer_that_exited_by_itself_keeps_its_status(start_trainer: StartTrainer) -> None:
    trainer = start_trainer(python_command("raise SystemExit(3)"))
    wait_until(lambda: not trainer.is_alive())
    assert trainer.end() == 3


def test_messages_to_a_trainer_that_exited_are_ignored(start_trainer: StartTrainer) -> None:
    trainer = start_trainer(python_command(""))
    wait_until(lambda: not trainer.is_alive())
    trainer.request_stop()
    trainer.request_stop()
    assert trainer.end() == 0
    trainer.request_stop()
    assert trainer.end() == 0


def test_a_trainer_is_ended_by_sigterm(start_trainer: StartTrainer) -> None:
    trainer = start_trainer(python_command(f"print('ready', flush=True)\n{SLEEP}"))
    trainer.next_line(60)
    assert trainer.end() == -signal.SIGTERM


def test_a_trainer_and_its_child_are_killed_if_they_ignore_sigterm(
    start_trainer: StartTrainer,
) -> None:
    trainer = start_trainer(parent_command(IGNORE_TERM + SLEEP, then=IGNORE_TERM + SLEEP))
    child = read_pid(trainer)
    assert trainer.end() == -signal.SIGKILL
    wait_until(lambda: has_exited(child))


def test_a_child_that_a_trainer_left_behind_is_killed(start_trainer: StartTrainer) -> None:
    trainer = start_trainer(parent_command(IGNORE_TERM + SLEEP, then=""))
    child = read_pid(trainer)
    wait_until(lambda: not trainer.is_alive())
    assert not has_exited(child)
    assert trainer.end() == 0
    wait_until(lambda: has_exited(child))


def test_kill_does_not_send_sigterm_first(start_trainer: StartTrainer) -> None:
    trainer = start_trainer(parent_command(IGNORE_TERM + SLEEP, then=IGNORE_TERM + SLEEP))
    child = read_pid(trainer)
    trainer.kill()
    wait_until(lambda: not trainer.is_alive() and has_exited(child))
    assert trainer.end() == -signal.SIGKILL


def test_new_lines_are_those_since_the_last_call_up_to_a_limit(
    start_trainer: StartTrainer,
) -> None:
    code = """
import sys
sys.stdin.readline()
print('first', file=sys.stderr, flush=True)
sys.stdin.readline()
for number in range(3000): print(number, file=sys.stderr)
"""
    trainer = start_trainer(python_command(code))
    assert trainer.take_new_lines() == []
    trainer.request_stop()
    wait_until(lambda: trainer.log_tail() == ["first"])
    assert trainer.take_new_lines() == ["first"]
    assert trainer.take_new_lines() == []
    trainer.request_stop()
    assert trainer.next_line(60) is None
    trainer._readers[1].join(60)
    note, *lines = trainer.take_new_lines()
    assert note == "(2000 lines were dropped here)"
    assert (lines[0], lines[-1], len(lines)) == ("2000", "2999", 1000)
