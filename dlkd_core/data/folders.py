"""train/<class>/<image> and val/<class>/<image>, in a folder, zip or tar."""

from pathlib import Path

from dlkd_core.data.decoded import Decoded
from dlkd_core.data.encoded import from_members
from dlkd_core.data.reading import Reading
from dlkd_core.data.source import members
from dlkd_core.data.survey import Survey


def read(path: Path, reading: Reading, survey: Survey | None = None) -> Decoded:
    """Labels follow the sorted class folders; images right under a split have none."""
    return from_members(lambda: members(path, reading.limits), reading, survey=survey)
