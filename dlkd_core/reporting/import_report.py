"""The claims of an imported model's report that the import check verifies."""

from pathlib import Path
from typing import Any

from dlkd_core.base import FrozenModel


class ReportedModel(FrozenModel):
    """The network that an imported report describes.

    `size` is the height and width of the images.
    """

    architecture: str
    options: dict[str, Any]
    parameters: int
    classes: int
    size: tuple[int, int]


class ReportedFile(FrozenModel):
    """A file of the imported model: its name and export format, and its path on disk."""

    name: str
    format: str
    path: Path
