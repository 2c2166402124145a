"""Reader for torch.save files (zip or legacy) that uses only torch's restricted unpickler."""

import pickle
import re
import warnings
import zipfile
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from torch.serialization import safe_globals

from dlkd_core.errors import CheckpointRefused, CheckpointUnreadable
from dlkd_core.memory_limits import raise_if_out_of_memory
from dlkd_core.teachers.reading.checkpoint_limits import CHECKPOINT_LIMITS
from dlkd_core.zip_members import ZIP_ERRORS

_REFUSED_GLOBAL = re.compile(r"GLOBAL (\S+) (?:was not an allowed|whose module)")
# Harmless types that training scripts save along with the weights. DINO saves the script's
# arguments, an object with attributes and no behavior. Others save NumPy scalars such as best_acc.
_NUMPY_SCALAR = np.float64(0).__reduce__()[0]
_SAFE_GLOBALS: list[Any] = [
    Namespace,
    *((_NUMPY_SCALAR, f"numpy.{package}.multiarray.scalar") for package in ("core", "_core")),
    np.dtype,
    *{type(np.dtype(code)) for code in "?bhilqBHILQefd"},
]
_WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".onnx")
_YOLO_HINT = "Export it with `yolo export model=FILE format=onnx`, and upload the ONNX file."
_FOLDER_HINT = (
    "For a network of Hugging Face transformers, zip config.json with model.safetensors or"
    " pytorch_model.bin in the same folder."
)
_SAVE_STATE_DICT_HINT = (
    "Save only the weights with torch.save(model.state_dict(), ...) and send that file."
)


def read_torch(path: Path) -> Any:
    """Return the object that torch.load returns: tensors in dictionaries and lists, on the CPU.

    Raises:
        CheckpointUnreadable: The file is damaged or truncated, or was not written by torch.save.
        CheckpointRefused: Reading the file would import or call something, or the file is
            TorchScript, a torch.export program, or compressed.
    """
    _check_archive(path)
    try:
        # Pass an open file, because torch treats some path suffixes specially.
        with (
            warnings.catch_warnings(),
            safe_globals(_SAFE_GLOBALS),
            path.open("rb") as file,
        ):
            # these warnings are meant for the author of the file
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _unpickling_error(str(error)) from error
    except Exception as error:  # a damaged or hostile file can fail in any way
        raise_if_out_of_memory(error, "the checkpoint")
        raise CheckpointUnreadable(
            "The file starts like a torch.save file but cannot be read to the end: "
            f"{_first_sentence(error)}."
        ) from error


def _check_archive(path: Path) -> None:
    """Refuse zip archives that are not checkpoints.

    Compressed members, which torch.save never writes, are refused so that a small file cannot take
    up much memory.
    """
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except ZIP_ERRORS as error:
        raise CheckpointUnreadable(
            f"The zip archive is damaged: {_first_sentence(error)}."
        ) from error
    if len(members) > CHECKPOINT_LIMITS.max_members:
        raise CheckpointRefused(
            f"The archive holds {len(members)} files, more than the limit of"
            f" {CHECKPOINT_LIMITS.max_members}.",
            hint=_SAVE_STATE_DICT_HINT,
        )
    names = {PurePosixPath(member.filename).name for member in members}
    if "constants.pkl" in names:
        raise CheckpointRefused(
            "The file is a TorchScript archive, which contains code.", hint=_SAVE_STATE_DICT_HINT
        )
    if "archive_format" in names:
        raise CheckpointRefused(
            "The file is a torch.export program, not weights.", hint=_SAVE_STATE_DICT_HINT
        )
    if "data.pkl" not in names:
        raise CheckpointUnreadable(
            "The file is a zip archive that torch.save did not write: it contains no data.pkl.",
            hint=_suggest_member(members),
        )
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise CheckpointRefused(
            "The archive is compressed, which torch.save never does.", hint=_SAVE_STATE_DICT_HINT
        )
    if sum(member.file_size for member in members) > path.stat().st_size:
        raise CheckpointRefused(
            "The members of the archive overlap, as in a zip bomb.", hint=_SAVE_STATE_DICT_HINT
        )


def _suggest_member(members: Iterable[zipfile.ZipInfo]) -> str | None:
    """Return a hint to upload the weights in an archive, or None if it contains none."""
    names = [member.filename for member in members]
    weights = [name for name in names if name.endswith(_WEIGHT_SUFFIXES)]
    if weights:
        return f"Unpack the archive and upload {weights[0]}."
    has_config = any(PurePosixPath(name).name == "config.json" for name in names)
    return _FOLDER_HINT if has_config else None


def _unpickling_error(message: str) -> CheckpointRefused | CheckpointUnreadable:
    refused = _REFUSED_GLOBAL.search(message)
    if refused:
        return CheckpointRefused(
            f"The file holds more than weights: reading it would import {refused[1]}, "
            "and uploads are never unpickled.",
            hint=_YOLO_HINT if refused[1].startswith("ultralytics.") else None,
        )
    return CheckpointUnreadable(
        "The file is a pickle, but not one of tensors as written by torch.save."
    )


def _first_sentence(error: Exception) -> str:
    """Return the first sentence of an error's message, or its type name if it has no message."""
    first = re.split(r"[.\n]", str(error).strip(), maxsplit=1)[0]
    return first[:200] if len(first) > 3 else type(error).__name__
