"""A data set that a small network learns in seconds, and specs over it."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlkd_core.spec import DistillationSpec

CLASSES = ("diagonal", "horizontal", "vertical")


def _picture(label: int, random: np.random.Generator) -> bytes:
    """A bright stripe in noise: its direction is the class."""
    image = random.integers(0, 90, (8, 8, 3))
    place = int(random.integers(1, 7))
    rows, columns = [(np.arange(8), np.arange(8)), (place, np.arange(8)), (np.arange(8), place)][label]
    image[rows, columns] = random.integers(140, 255, 3)
    stream = io.BytesIO()
    Image.fromarray(image.astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="session")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip of 8 x 8 images: 40 training and 20 evaluation images in each of three classes."""
    path = tmp_path_factory.mktemp("stripes") / "stripes.zip"
    random = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for split, count in (("train", 40), ("val", 20)):
            for label, name in enumerate(CLASSES):
                for number in range(count):
                    archive.writestr(f"{split}/{name}/{number:03}.png", _picture(label, random))
    return path


MakeSpec = Callable[..., DistillationSpec]


@pytest.fixture
def make_spec(stripes: Path) -> MakeSpec:
    """A short plain run over the stripes; keywords replace parts of the spec."""

    def make(**parts: Any) -> DistillationSpec:
        training = {"epochs": 4, "batch_size": 16, "learning_rate": 0.1, "flip": False, **parts.pop("training", {})}
        base = {"student": {"architecture": "resnet8"}, "dataset": {"path": stripes}, "export": ["safetensors"]}
        return DistillationSpec.model_validate({**base, "training": training, **parts})

    return make
