"""What leaves the house: each format writes a file, loads it back, and is measured on the evaluation split."""

from dlkd_core.export.published import publish
from dlkd_core.export.student import Student

__all__ = ["Student", "publish"]
