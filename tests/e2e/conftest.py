"""Fixtures: small real datasets, and a service started the way a user would start it."""

import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pytest

from dlkd_client.client import Client
from dlkd_client.local.digits_dataset import write_digits
from tests.support.local_service import read_ready_line, run_local_service, stop


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folder = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(folder):
            item.add_marker(pytest.mark.e2e)


@contextmanager
def run_service(data: Path, **environment: str) -> Iterator[Client]:
    """Run `dlkd up` during the `with` block, and assert that it then exits with status 0."""
    with run_local_service(data, **environment) as process:
        address = read_ready_line(process)
        with Client(address["url"], address["api_key"]) as client:
            yield client
        assert stop(process)[0] == 0


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an archive of the handwritten digits from scikit-learn."""
    return write_digits(tmp_path_factory.mktemp("digits") / "digits.zip")


@pytest.fixture(scope="session")
def few_cifar10(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a CIFAR-10 archive with 20 training and 30 evaluation images per class."""
    limits, counts = {"train": 20, "val": 30}, Counter[PurePosixPath]()
    path = tmp_path_factory.mktemp("cifar10") / "few.zip"
    with (
        zipfile.ZipFile(shared_data / "cifar10_subset_png.zip") as source,
        zipfile.ZipFile(path, "w") as target,
    ):
        for name in sorted(name for name in source.namelist() if not name.endswith("/")):
            folder = PurePosixPath(name).parent
            counts[folder] += 1
            if counts[folder] <= limits.get(folder.parent.name, 0):
                target.writestr(name, source.read(name))
    return path
