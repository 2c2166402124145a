"""Zip archives of the folder that `save_pretrained` writes: config.json beside the weights.

Other files of the folder are not read.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import ZipFile, ZipInfo, is_zipfile

from torch import Tensor

from dlkd_core.errors import CheckpointRefused, CheckpointUnreadable
from dlkd_core.teachers.reading.checkpoint_limits import check_tensor_count
from dlkd_core.teachers.reading.checkpoint_reader import read_tensors
from dlkd_core.teachers.reading.file_format import CheckpointFormat
from dlkd_core.zip_members import ZIP_ERRORS, find_member_problem

CONFIG_NAME, PREPROCESSOR_NAME = "config.json", "preprocessor_config.json"
# In this order of preference. Large networks are saved in numbered parts.
_WEIGHTS = tuple(
    re.compile(pattern)
    for pattern in (
        r"model\.safetensors",
        r"model-\d{5}-of-\d{5}\.safetensors",
        r"pytorch_model\.bin",
        r"pytorch_model-\d{5}-of-\d{5}\.bin",
    )
)
_MAX_JSON_BYTES = 16 << 20  # 21,841 class names take 2 MiB
_MAX_WEIGHT_BYTES = 8 << 30
# Weights hardly get smaller when they are compressed. Small files may be all zeros.
_MAX_RATIO, _FREE_BYTES = 20, 16 << 20


@dataclass(frozen=True)
class NetworkFolder:
    """What the service reads from such a folder.

    Attributes:
        config: Content of config.json.
        preprocessor: Content of preprocessor_config.json, empty if there is none.
        format: Format of the weights.
        tensors: Weights, with the names and dtypes of the file.
    """

    config: dict[str, Any]
    preprocessor: dict[str, Any]
    format: CheckpointFormat
    tensors: dict[str, Tensor]


@dataclass(frozen=True)
class _Members:
    config: ZipInfo
    preprocessor: ZipInfo | None
    weights: tuple[ZipInfo, ...]


def is_network_folder(path: Path) -> bool:
    """Return whether a file is a zip archive with config.json and weights in the same folder.

    Raises:
        CheckpointRefused: There are several such folders.
    """
    if not is_zipfile(path):
        return False
    try:
        with ZipFile(path) as archive:
            return _find_members(archive) is not None
    except ZIP_ERRORS:
        return False  # damaged: the reader of PyTorch archives says how


def read_network_folder(path: Path) -> NetworkFolder:
    """Read the configuration and the weights from an archive that `is_network_folder` accepts.

    Raises:
        CheckpointUnreadable: The archive, a configuration or the weights are damaged.
        CheckpointRefused: A file is too large, or the weights are refused (see `read_tensors`).
    """
    try:
        with ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
            members = _find_members(archive)
            if members is None:
                raise CheckpointRefused(f"The archive holds no {CONFIG_NAME} beside weights.")
            config = _read_json(archive, members.config)
            preprocessor = _read_json(archive, members.preprocessor) if members.preprocessor else {}
            size = sum(member.file_size for member in members.weights)
            if size > _MAX_WEIGHT_BYTES:
                raise CheckpointRefused(
                    f"The weights take {size >> 20} MiB, more than the limit of"
                    f" {_MAX_WEIGHT_BYTES >> 20} MiB.",
                    hint="Save them in float16: model.half().save_pretrained(...).",
                )
            tensors: dict[str, Tensor] = {}
            for member in members.weights:
                file_format, part = read_tensors(_extract(archive, member, Path(folder)))
                tensors |= part
                check_tensor_count(len(tensors))
    except ZIP_ERRORS as error:
        raise CheckpointUnreadable(f"The archive cannot be read: {error}.") from error
    return NetworkFolder(config, preprocessor, file_format, tensors)


def _find_members(archive: ZipFile) -> _Members | None:
    """Return the files of the outermost folder with config.json and weights."""
    folders: dict[PurePosixPath, dict[str, ZipInfo]] = {}
    for member in archive.infolist():
        place = PurePosixPath(member.filename)
        if not member.is_dir() and "__MACOSX" not in place.parts:
            folders.setdefault(place.parent, {})[place.name] = member
    found = {
        folder: _Members(files[CONFIG_NAME], files.get(PREPROCESSOR_NAME), weights)
        for folder, files in folders.items()
        if CONFIG_NAME in files and (weights := _find_weights(files))
    }
    if not found:
        return None
    depth = min(len(folder.parts) for folder in found)
    outermost = [folder for folder in found if len(folder.parts) == depth]
    if len(outermost) > 1:
        names = ", ".join(sorted(map(str, outermost))[:5])
        raise CheckpointRefused(
            f"The archive holds {len(outermost)} networks with {CONFIG_NAME}: {names}.",
            hint="Send an archive of the folder of one network.",
        )
    return found[outermost[0]]


def _find_weights(files: Mapping[str, ZipInfo]) -> tuple[ZipInfo, ...]:
    for pattern in _WEIGHTS:
        names = sorted(name for name in files if pattern.fullmatch(name))
        if names:
            return tuple(files[name] for name in names)
    return ()


def _check_member(member: ZipInfo) -> None:
    problem = find_member_problem(member)
    if problem:
        raise CheckpointRefused(f"{member.filename} {problem}.")
    if member.file_size > max(_FREE_BYTES, _MAX_RATIO * member.compress_size):
        raise CheckpointRefused(
            f"{member.filename} becomes {member.file_size // max(1, member.compress_size)} times as"
            " large when it is unpacked, as in a zip bomb."
        )


def _extract(archive: ZipFile, member: ZipInfo, folder: Path) -> Path:
    _check_member(member)
    target = folder / PurePosixPath(member.filename).name
    with archive.open(member) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
    return target


def _read_json(archive: ZipFile, member: ZipInfo) -> dict[str, Any]:
    name = PurePosixPath(member.filename).name
    _check_member(member)
    if member.file_size > _MAX_JSON_BYTES:
        raise CheckpointRefused(
            f"{name} has {member.file_size} bytes, more than the limit of {_MAX_JSON_BYTES}."
        )
    try:
        values = json.loads(archive.read(member))
    except (ValueError, RecursionError) as error:
        raise CheckpointUnreadable(
            f"{name} is not JSON.", hint="Zip the folder that save_pretrained has written."
        ) from error
    if not isinstance(values, dict):
        raise CheckpointUnreadable(
            f"{name} holds a {type(values).__name__}, not an object.",
            hint="Zip the folder that save_pretrained has written.",
        )
    return values
