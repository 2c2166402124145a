"""Distillation losses, one term per file.

`build_objective` turns a method of the catalog into a module.
"""

from dlkd_core.losses.objective import Objective, build_objective

__all__ = ["Objective", "build_objective"]
