"""Real images and a real teacher in a size for two cores, and a service that runs as a user starts it."""

import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pytest

from dlkd_client.client import Client
from dlkd_client.digits import write_digits
from tests.service import ready, stopped, up


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.e2e)


@contextmanager
def service(data: Path, **environment: str) -> Iterator[Client]:
    """`dlkd up` for the block; it must drain and end with 0."""
    with up(data, **environment) as process:
        running = ready(process)
        with Client(running["url"], running["api_key"]) as client:
            yield client
        assert stopped(process)[0] == 0


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """scikit-learn's handwritten digits as an archive."""
    return write_digits(tmp_path_factory.mktemp("digits") / "digits.zip")


@pytest.fixture(scope="session")
def few_cifar10(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 20 training and 30 evaluation images of each class of CIFAR-10, as the files they were."""
    limits, seen = {"train": 20, "val": 30}, Counter[PurePosixPath]()
    path = tmp_path_factory.mktemp("cifar10") / "few.zip"
    with zipfile.ZipFile(shared_data / "cifar10_subset_png.zip") as source, zipfile.ZipFile(path, "w") as target:
        for name in sorted(name for name in source.namelist() if not name.endswith("/")):
            folder = PurePosixPath(name).parent
            seen[folder] += 1
            if seen[folder] <= limits.get(folder.parent.name, 0):
                target.writestr(name, source.read(name))
    return path
