"""train/<class>/<image> and val/<class>/<image>, in a folder, zip or tar."""

from pathlib import Path

from dlkd_core.data.decoded import Decoded
from dlkd_core.data.encoded import from_members
from dlkd_core.data.limits import Limits
from dlkd_core.data.source import members


def read(path: Path, limits: Limits) -> Decoded:
    """Labels follow the sorted class folders."""
    return from_members(lambda: members(path, limits), limits)
