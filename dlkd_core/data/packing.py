"""From a folder or archive in any of the catalog's forms to arrays."""

from pathlib import Path

from dlkd_core.catalog.sources import find_source
from dlkd_core.data.decoded import Decoded
from dlkd_core.data.limits import Limits
from dlkd_core.data.source import names
from dlkd_core.errors import ArchiveRefused
from dlkd_core.resolve import resolve


def decode_all(path: Path, limits: Limits) -> Decoded:
    """Every image, read by the form that the names of the files show.

    Raises:
        DatasetError: what is wrong with it, naming the file or class.
    """
    listed = names(path, limits)
    if len(listed) > limits.files:
        raise ArchiveRefused(f"The archive holds more than {limits.files} files.")
    decoded: Decoded = resolve(find_source(listed).target)(path, limits)
    return decoded
