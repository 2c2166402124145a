"""The learning rate as a function of the step: nothing to save, nothing to resume."""

from bisect import bisect_right
from math import cos, pi

from dlkd_core.training_spec import Schedule


def rate_at(schedule: Schedule, step: int, steps: int, per_epoch: int) -> float:
    """Factor on the base learning rate at `step` (from 0) of `steps`.

    Milestones and cosine are laid over the whole run. The paper's: x 0.1 after epochs 150, 180 and 210 of 240.
    """
    warm_up = schedule.warmup_epochs * per_epoch
    if step < warm_up:
        return (step + 1) / warm_up
    if schedule.name == "step":
        return float(schedule.gamma ** bisect_right(sorted(schedule.milestones), step / steps + 1e-9))
    if schedule.name == "cosine":
        return 0.5 * (1 + cos(pi * step / steps))
    return 1.0
