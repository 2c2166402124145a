"""The losses, one term a file. `build` turns a method of the catalog into a module."""

from dlkd_core.losses.objective import Objective, build

__all__ = ["Objective", "build"]
