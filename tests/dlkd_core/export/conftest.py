"""A small student with weights that were drawn, and images to try it on."""

from pathlib import Path

import pytest
import torch

from dlkd_core.data import open_dataset
from dlkd_core.export import Student, Work
from dlkd_core.models import build
from dlkd_core.spec import Normalization


@pytest.fixture(scope="session")
def work(stripes: Path) -> Work:
    """A resnet8 with padding shortcuts: options, batch statistics and an uneven normalisation are all there to be lost."""
    data = open_dataset(stripes)
    torch.manual_seed(0)
    weights = build("resnet8", len(data.classes), {"shortcut": "pad"}).module.state_dict()
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
        size=data.size,
        weights=weights,
    )
    return Work(student, data.train, data.val)
