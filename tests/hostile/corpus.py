"""All cases, and the sample of them that every test run checks."""

import warnings
from collections import Counter
from collections.abc import Sequence

from tests.hostile.case import Case
from tests.hostile.cases import (
    archives,
    arrays,
    checkpoints,
    image_files,
    label_tables,
    onnx_graphs,
    parquet_files,
    safetensors_files,
    tar_files,
    transformers_folders,
    webdatasets,
)

_GROUPS = (
    checkpoints,
    safetensors_files,
    onnx_graphs,
    transformers_folders,
    archives,
    tar_files,
    image_files,
    arrays,
    parquet_files,
    webdatasets,
    label_tables,
)
_SAMPLE_STEP = 17
_QUARTER_STEP = 4


def all_cases() -> list[Case]:
    """Return every case. Their names are unique."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates some kinds of tensors that files hold
        cases = [case for group in _GROUPS for case in group.cases()]
    repeated = [title for title, count in Counter(c.title for c in cases).items() if count > 1]
    if repeated:
        raise ValueError(f"Several cases have the same name: {repeated}")
    return cases


def choose_cases(
    patterns: Sequence[str] = (), *, sample: bool = False, quarter: bool = False
) -> list[Case]:
    """Return the cases whose names contain one of the patterns.

    `sample` selects a few fast cases, and `quarter` every fourth case.
    """
    cases = all_cases()
    if sample:
        cases = [case for case in cases if not case.is_slow][::_SAMPLE_STEP]
    elif quarter:
        cases = cases[::_QUARTER_STEP]
    return [case for case in cases if not patterns or any(p in case.title for p in patterns)]
