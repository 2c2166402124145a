"""Decodes a folder or archive in any of the catalog's formats."""

from collections.abc import Sequence
from pathlib import Path

from dlkd_core.catalog.dataset_formats import FOLDERS, detect_dataset_format
from dlkd_core.common import clean_text, import_target
from dlkd_core.data.decoding.archive import is_tar, list_names, open_members
from dlkd_core.data.decoding.decoded_dataset import DecodedDataset
from dlkd_core.data.decoding.scan import DatasetScan
from dlkd_core.data.read_options import DatasetLimits, ReadOptions
from dlkd_core.errors import ArchiveRefused, LayoutInvalid

_MAX_SHOWN = 100  # maximum length of a class name in a message


def decode_dataset(path: Path, read_options: ReadOptions) -> DecodedDataset:
    """Decode all images of a dataset. The format is detected from the file names.

    Raises:
        DatasetError: the dataset is invalid. The message names the file or class.
    """
    decoded = _decode(path, read_options)
    _check_class_names(decoded.classes, read_options.limits)
    return decoded


def _check_class_names(classes: Sequence[str], limits: DatasetLimits) -> None:
    """Raise `LayoutInvalid` if a class name cannot be stored and shown as a line of text."""
    for name in classes:
        if "\n" in name or clean_text(name, limits.name_length) != name:
            raise LayoutInvalid(
                f"The class name {name[:_MAX_SHOWN]!r} contains line breaks or control characters,"
                f" or is longer than {limits.name_length} characters.",
                hint="Use a shorter name of printable characters.",
            )


def _decode(path: Path, read_options: ReadOptions) -> DecodedDataset:
    if is_tar(path):
        return _decode_tar(path, read_options)
    names = list_names(path, read_options.limits)
    if len(names) > read_options.limits.max_files:
        raise ArchiveRefused(f"The archive holds more than {read_options.limits.max_files} files.")
    read = import_target(detect_dataset_format(names).target)
    decoded: DecodedDataset = read(path, read_options)
    return decoded


def _decode_tar(path: Path, read_options: ReadOptions) -> DecodedDataset:
    """Decode a tar in two passes: first the file names and image headers, then the pixels.

    A tar has no index and may be compressed, so listing the file names takes a full pass. The image
    headers are read in the same pass.
    """
    names, scan = [], DatasetScan()
    for name, stream in open_members(path, read_options.limits):
        names.append(name)
        scan.add_file(name, stream.read, read_options.limits)
    dataset_format = detect_dataset_format(names)
    read = import_target(dataset_format.target)
    arguments = [scan] if dataset_format.name == FOLDERS else []
    decoded: DecodedDataset = read(path, read_options, *arguments)
    return decoded
