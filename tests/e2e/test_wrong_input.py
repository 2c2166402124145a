"""What is wrong is refused with a problem that names it and says what to do; nothing is left behind, and the service goes on."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from dlkd_client.client import Client
from dlkd_client.errors import NotReady, ProblemError

from .conftest import service


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service") / "data"


@pytest.fixture(scope="module")
def client(data: Path) -> Iterator[Client]:
    with service(data) as client:
        yield client


def stored(data: Path) -> set[Path]:
    """Every file that the service keeps of uploads."""
    return {path for path in (data / "store").rglob("*") if path.is_file()}


def png() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(stream, "PNG")
    return stream.getvalue()


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as target:
        for name, content in members.items():
            target.writestr(name, content)
    return path


def sound(**other: bytes) -> dict[str, bytes]:
    """Two classes in both splits."""
    places = ("train/a/1.png", "train/b/1.png", "val/a/1.png", "val/b/1.png")
    return {**dict.fromkeys(places, png()), **other}


def test_an_unknown_architecture_is_refused_with_the_nearest_names(client: Client) -> None:
    with pytest.raises(ProblemError) as refused:
        client.submit({"student": {"architecture": "resnet2O"}, "dataset": {"id": "dataset_x"}})
    (problem,) = refused.value.errors
    assert problem["pointer"] == "/student/architecture"
    assert "resnet20" in refused.value.hint


def test_a_text_file_called_pth_is_refused_before_it_is_kept(client: Client, data: Path, tmp_path: Path) -> None:
    before = stored(data)
    (tmp_path / "teacher.pth").write_text("not a checkpoint\n" * 100)
    with pytest.raises(ProblemError) as refused:
        client.upload_teacher(tmp_path / "teacher.pth")
    assert refused.value.code == "checkpoint_unreadable"
    assert "it is text" in str(refused.value)
    assert stored(data) == before


def test_keys_that_do_not_fit_are_listed_and_the_file_is_forgotten(client: Client, data: Path, tmp_path: Path) -> None:
    before = stored(data)
    torch.save({"conv1.weight": torch.zeros(16, 3, 3, 3), "mystery.weight": torch.zeros(3)}, tmp_path / "odd.pth")
    with pytest.raises(NotReady) as refused:
        client.ready(client.upload_teacher(tmp_path / "odd.pth", architecture="resnet20"))
    assert refused.value.code == "keys_do_not_fit"
    assert "missing" in str(refused.value)
    assert "mystery.weight" in str(refused.value)
    assert stored(data) == before


BROKEN = {
    "a class missing in val": ({"train/c/1.png": png()}, "layout_invalid", "'c'"),
    "an image that does not decode": ({"train/a/2.png": png()[:45]}, "image_unreadable", "train/a/2.png"),
    "a path that escapes": ({"../train/a/2.png": png()}, "archive_refused", "../train/a/2.png"),
}


@pytest.mark.parametrize(("extra", "code", "words"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_archive_is_refused_by_the_name_of_what_is_wrong(
    client: Client, data: Path, tmp_path: Path, extra: dict[str, bytes], code: str, words: str
) -> None:
    before = stored(data)
    with pytest.raises(NotReady) as refused:
        client.ready(client.upload_dataset(archive(tmp_path / "images.zip", sound(**extra))))
    assert refused.value.code == code
    assert words in str(refused.value)
    assert stored(data) == before
    assert not (data.parent / "train").exists()


def test_after_all_that_the_service_still_works(client: Client, tmp_path: Path) -> None:
    dataset = client.ready(client.upload_dataset(archive(tmp_path / "images.zip", sound())))
    assert dataset.classes == ["a", "b"]
