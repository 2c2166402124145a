"""What leaves the house: each format writes a file, loads it back, and is measured on the evaluation split."""

from dlkd_core.export.published import publish
from dlkd_core.export.student import Student
from dlkd_core.export.work import Work

__all__ = ["Student", "Work", "publish"]
