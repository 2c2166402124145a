"""Fixture for exporting a small student with random weights."""

from pathlib import Path

import pytest
import torch

from dlkd_core.data import open_dataset
from dlkd_core.export import ExportContext, Student
from dlkd_core.models import build_network
from dlkd_core.spec import Normalization


@pytest.fixture(scope="session")
def context(stripes: Path) -> ExportContext:
    """Return an export context whose student is a resnet8.

    The student's options, batch statistics and normalization differ from the defaults, so that
    the tests fail if an exporter omits one of them.
    """
    data = open_dataset(stripes)
    torch.manual_seed(0)
    weights = build_network("resnet8", len(data.classes), {"shortcut": "pad"}).module.state_dict()
    for name, tensor in weights.items():
        if name.endswith("running_mean"):
            tensor.normal_(0, 0.1)
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
    student = Student(
        architecture="resnet8",
        options={"shortcut": "pad"},
        classes=data.classes,
        normalization=Normalization(mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7)),
        size=data.image_size,
        weights=weights,
    )
    return ExportContext(student, data.train, data.val)
