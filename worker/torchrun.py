"""Launches a job with several processes, using torchrun.

Only the leader process reads the supervisor's messages. If a process fails, torchrun ends the
others. If torchrun itself is killed, Linux kills the job's processes.
"""

import ctypes
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def build_torchrun_command(trainer_command: Sequence[str], processes: int) -> tuple[str, ...]:
    """Return a command that runs the trainer as `processes` processes on this machine."""
    options = (
        "--standalone",
        "--local-addr=127.0.0.1",
        f"--nproc-per-node={processes}",
        "--max-restarts=0",
        "--no-python",
    )
    return (sys.executable, "-P", "-m", "torch.distributed.run", *options, *trainer_command)


def exit_with_parent() -> None:
    """Ask Linux to kill this process when torchrun dies. Other systems have no equivalent."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
