"""Program that runs `python -m dlkd_core` with slow steps, so that a test can interrupt it."""

import sys
import time

from dlkd_core.__main__ import main
from dlkd_core.training.step import TrainingStep

original_accumulate = TrainingStep._accumulate_gradients


def slow_accumulate(*args: object) -> object:
    time.sleep(0.2)
    return original_accumulate(*args)  # type: ignore[arg-type]


if __name__ == "__main__":
    TrainingStep._accumulate_gradients = slow_accumulate  # type: ignore[method-assign,assignment]
    sys.exit(main())
