"""Fixture that makes specs of short runs on the stripes dataset."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlkd_core.spec import DistillationSpec

MakeSpec = Callable[..., DistillationSpec]


@pytest.fixture
def make_spec(stripes: Path) -> MakeSpec:
    """Return a function that makes the spec of a short `plain` run on the stripes dataset.

    The keyword arguments of that function replace parts of the spec.
    """

    def make(**parts: Any) -> DistillationSpec:
        training = {
            "epochs": 4,
            "batch_size": 16,
            "learning_rate": 0.1,
            "flip": False,
            **parts.pop("training", {}),
        }
        base = {
            "student": {"architecture": "resnet8"},
            "dataset": {"path": stripes},
            "export": ["safetensors"],
        }
        return DistillationSpec.model_validate({**base, "training": training, **parts})

    return make
