"""Files of torch.save, zip or legacy, read by torch's restricted unpickler alone."""

import pickle
import re
import warnings
import zipfile
from argparse import Namespace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from torch.serialization import safe_globals

from dlkd_core.errors import CheckpointRefused, CheckpointUnreadable

_WANTED = re.compile(r"GLOBAL (\S+) (?:was not an allowed|whose module)")
# A script's arguments, which DINO saves beside the weights: an object with attributes and no behaviour.
# NumPy's numbers, which training scripts save beside the weights (best_acc): plain values, and nothing that runs.
_SCALAR = np.float64(0).__reduce__()[0]
_VALUES: list[Any] = [
    Namespace,
    *((_SCALAR, f"numpy.{package}.multiarray.scalar") for package in ("core", "_core")),
    np.dtype,
    *{type(np.dtype(code)) for code in "?bhilqBHILQefd"},
]
_STATE_DICT = "Save the weights alone, with torch.save(model.state_dict(), ...), and send that file."


def read_torch(path: Path) -> Any:
    """What torch.load gives: tensors in dictionaries and lists, on the CPU.

    Raises:
        CheckpointUnreadable: damaged, cut off, or no file of torch.save.
        CheckpointRefused: reading it would import or call something; TorchScript; compressed.
    """
    if zipfile.is_zipfile(path):
        _check_archive(path)
    try:
        with (
            warnings.catch_warnings(),
            safe_globals(_VALUES),
            path.open("rb") as file,
        ):  # given a path, torch would go by its ending
            warnings.simplefilter("ignore")  # advice to programmers about files that are not theirs
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _unpickling(str(error)) from error
    except Exception as error:  # a damaged or hostile file can fail in any way
        raise CheckpointUnreadable(
            f"The file begins like one of torch.save and cannot be read to its end: {_brief(error)}."
        ) from error


def _check_archive(path: Path) -> None:
    """Refuses what is a zip and no checkpoint; torch.save never compresses, so a small file stays small."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise CheckpointUnreadable(f"The zip archive is damaged: {_brief(error)}.") from error
    names = {PurePosixPath(member.filename).name for member in members}
    if "constants.pkl" in names:
        raise CheckpointRefused("The file is a TorchScript archive, which holds code.", hint=_STATE_DICT)
    if "archive_format" in names:
        raise CheckpointRefused("The file is a program of torch.export, not weights.", hint=_STATE_DICT)
    if "data.pkl" not in names:
        raise CheckpointUnreadable("The file is a zip archive, but none of torch.save: there is no data.pkl in it.")
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise CheckpointRefused("The archive is compressed, which torch.save never does.", hint=_STATE_DICT)
    if sum(member.file_size for member in members) > path.stat().st_size:
        raise CheckpointRefused("The members of the archive lie over each other: it looks like a bomb.", hint=_STATE_DICT)


def _unpickling(message: str) -> CheckpointRefused | CheckpointUnreadable:
    wanted = _WANTED.search(message)
    if wanted:
        return CheckpointRefused(
            f"The file holds more than weights: reading it would need {wanted[1]}, and nothing is unpickled here."
        )
    return CheckpointUnreadable("The file is a pickle, but not of tensors as torch.save writes them.")


def _brief(error: Exception) -> str:
    """The first sentence of an error's message, or its kind where it says nothing."""
    first = re.split(r"[.\n]", str(error).strip(), maxsplit=1)[0]
    return first[:200] if len(first) > 3 else type(error).__name__
