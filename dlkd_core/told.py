"""What a report says of a model that was made elsewhere, for its trial."""

from pathlib import Path
from typing import Any

from dlkd_core.frozen import Frozen


class ToldModel(Frozen):
    """The network."""

    architecture: str
    options: dict[str, Any]
    parameters: int
    classes: int
    size: tuple[int, int]  # height and width of its images


class ToldFile(Frozen):
    """A file of the model: its name and format there, and where it is."""

    name: str
    format: str
    path: Path
