"""`python -m dlkd_core` with slow steps, so that there is time to interrupt it."""

import sys
import time

from dlkd_core import step
from dlkd_core.__main__ import main

make = step.Stepper._sum


def slowly(*given: object) -> object:
    """The step itself, later."""
    time.sleep(0.2)
    return make(*given)  # type: ignore[arg-type]


if __name__ == "__main__":
    step.Stepper._sum = slowly  # type: ignore[method-assign,assignment]
    sys.exit(main())
