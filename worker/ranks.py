"""A job of several processes: torchrun starts a trainer for each, of which the leader alone hears the supervisor.

torchrun ends them all where one ends badly; where it is killed itself, the kernel ends them.
"""

import ctypes
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def torchrun(trainer: Sequence[str], processes: int) -> tuple[str, ...]:
    """The command that runs the trainer's command so many times, together and on this machine alone."""
    options = ("--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={processes}", "--max-restarts=0", "--no-python")
    return (sys.executable, "-P", "-m", "torch.distributed.run", *options, *trainer)


def end_with_torchrun() -> None:
    """Asks Linux to kill this process when torchrun dies, however that is; elsewhere nothing happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
