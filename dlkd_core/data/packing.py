"""From a folder or archive in any of the catalog's forms to arrays."""

from pathlib import Path

from dlkd_core.catalog.sources import FOLDERS, find_source
from dlkd_core.data.decoded import Decoded
from dlkd_core.data.reading import Reading
from dlkd_core.data.source import is_tar, names, streams
from dlkd_core.data.survey import Survey
from dlkd_core.errors import ArchiveRefused
from dlkd_core.resolve import resolve


def decode_all(path: Path, reading: Reading) -> Decoded:
    """Every image, read by the form that the names of the files show.

    Raises:
        DatasetError: what is wrong with it, naming the file or class.
    """
    if is_tar(path):
        return _of_tar(path, reading)
    listed = names(path, reading.limits)
    if len(listed) > reading.limits.files:
        raise ArchiveRefused(f"The archive holds more than {reading.limits.files} files.")
    decoded: Decoded = resolve(find_source(listed).target)(path, reading)
    return decoded


def _of_tar(path: Path, reading: Reading) -> Decoded:
    """A tar has no index, and may be compressed: names and headers come from one pass, and only the pixels take another."""
    listed, survey = [], Survey()
    for name, stream in streams(path, reading.limits):
        listed.append(name)
        survey.look(name, stream.read, reading.limits)
    source = find_source(listed)
    decoded: Decoded = resolve(source.target)(path, reading, *([survey] if source.name == FOLDERS else []))
    return decoded
