"""Tests that invalid input is refused with a helpful error and leaves no files behind."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from dlkd_client.client import Client
from dlkd_client.errors import NotReady, ProblemError
from tests.e2e.conftest import run_service
from tests.support.separate_services import wait_until


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service") / "data"


@pytest.fixture(scope="module")
def client(data: Path) -> Iterator[Client]:
    with run_service(data) as client:
        yield client


def stored_files(data: Path) -> set[Path]:
    """Return the paths of all files in the service's store."""
    return {path for path in (data / "store").rglob("*") if path.is_file()}


def make_png() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(stream, "PNG")
    return stream.getvalue()


def write_archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as target:
        for name, content in members.items():
            target.writestr(name, content)
    return path


def valid_members(**other: bytes) -> dict[str, bytes]:
    """Return the members of a valid dataset archive, plus the members in `other`."""
    names = ("train/a/1.png", "train/b/1.png", "val/a/1.png", "val/b/1.png")
    return {**dict.fromkeys(names, make_png()), **other}


def test_an_unknown_architecture_is_refused_with_similar_names(client: Client) -> None:
    with pytest.raises(ProblemError) as error:
        client.submit({"student": {"architecture": "resnet2O"}, "dataset": {"id": "dataset_x"}})
    (problem,) = error.value.errors
    assert problem["pointer"] == "/student/architecture"
    assert "resnet20" in error.value.hint


def test_a_text_file_named_pth_is_refused_and_not_stored(
    client: Client, data: Path, tmp_path: Path
) -> None:
    before = stored_files(data)
    (tmp_path / "teacher.pth").write_text("not a checkpoint\n" * 100)
    with pytest.raises(ProblemError) as error:
        client.upload_teacher(tmp_path / "teacher.pth")
    assert error.value.code == "checkpoint_unreadable"
    assert "it is text" in str(error.value)
    assert stored_files(data) == before


def test_mismatched_keys_are_listed_and_the_file_is_deleted(
    client: Client, data: Path, tmp_path: Path
) -> None:
    before = stored_files(data)
    torch.save(
        {"conv1.weight": torch.zeros(16, 3, 3, 3), "mystery.weight": torch.zeros(3)},
        tmp_path / "odd.pth",
    )
    with pytest.raises(NotReady) as error:
        client.wait_until_ready(
            client.upload_teacher(tmp_path / "odd.pth", architecture="resnet20")
        )
    assert error.value.code == "keys_do_not_fit"
    assert "missing" in str(error.value)
    assert "mystery.weight" in str(error.value)
    wait_until(lambda: stored_files(data) == before)  # deleted soon after the refusal


INVALID_ARCHIVES = {
    "a class missing in val": ({"train/c/1.png": make_png()}, "layout_invalid", "'c'"),
    "an image that does not decode": (
        {"train/a/2.png": make_png()[:45]},
        "image_unreadable",
        "train/a/2.png",
    ),
    "a path outside the archive": (
        {"../train/a/2.png": make_png()},
        "archive_refused",
        "../train/a/2.png",
    ),
}


@pytest.mark.parametrize(
    ("extra", "code", "text"), INVALID_ARCHIVES.values(), ids=INVALID_ARCHIVES.keys()
)
def test_an_invalid_archive_is_refused_with_the_name_of_the_faulty_entry(
    client: Client, data: Path, tmp_path: Path, extra: dict[str, bytes], code: str, text: str
) -> None:
    before = stored_files(data)
    with pytest.raises(NotReady) as error:
        client.wait_until_ready(
            client.upload_dataset(write_archive(tmp_path / "images.zip", valid_members(**extra)))
        )
    assert error.value.code == code
    assert text in str(error.value)
    wait_until(lambda: stored_files(data) == before)  # deleted soon after the refusal
    assert not (data.parent / "train").exists()


def test_the_service_still_accepts_a_valid_data_set(client: Client, tmp_path: Path) -> None:
    dataset = client.wait_until_ready(
        client.upload_dataset(write_archive(tmp_path / "images.zip", valid_members()))
    )
    assert dataset.classes == ["a", "b"]
