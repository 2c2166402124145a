"""The claims in an imported model's report that the import check verifies."""

from pathlib import Path
from typing import Any

from dlkd_core.common import FrozenModel


class ReportedModel(FrozenModel):
    """The network that an imported report describes.

    `size` is the height and width of its input images.
    """

    architecture: str
    options: dict[str, Any]
    parameters: int
    classes: int
    size: tuple[int, int]


class ReportedFile(FrozenModel):
    """A file of an imported model, with its name, export format and path on disk."""

    name: str
    format: str
    path: Path
