"""`python -m dlkd_client.child MODULE`: runs a module as `python -m` does, and sees to it that it ends when its parent does."""

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def end_with_parent(parent: int) -> None:
    """Asks Linux for a TERM when the parent dies, however that is; elsewhere nothing happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we asked
            sys.exit(1)


if __name__ == "__main__":
    end_with_parent(int(sys.argv[2]))
    name = sys.argv[1]
    sys.argv = [name]
    runpy.run_module(name, run_name="__main__", alter_sys=True)
