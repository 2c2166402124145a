"""From folders and archives to tensors."""

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from dlkd_core.data import open_dataset
from dlkd_core.data.inspect import inspect_dataset
from dlkd_core.data.limits import Limits
from dlkd_core.data.reading import Reading
from dlkd_core.errors import ArchiveUnreadable, DatasetTooLarge, ImageUnreadable, LayoutInvalid


def png(value: int = 0, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size, (value,) * len(mode) if len(mode) > 1 else value).save(stream, "PNG")
    return stream.getvalue()


def noise() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return path


def good() -> dict[str, bytes]:
    return {f"{split}/{label}/{n}.png": png(10 * n) for split in ("train", "val") for label in ("cat", "dog") for n in range(3)}


def test_labels_follow_the_sorted_class_names_and_rows_the_sorted_paths(tmp_path: Path) -> None:
    packed = open_dataset(archive(tmp_path / "a.zip", dict(reversed(good().items()))))
    assert packed.classes == ("cat", "dog")
    assert packed.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert packed.train.images[:, 0, 0, 0].tolist() == [0, 10, 20, 0, 10, 20]
    assert packed.train.images.dtype == torch.uint8
    assert packed.size == (8, 8)


def test_one_folder_around_the_splits_is_allowed(tmp_path: Path) -> None:
    packed = open_dataset(archive(tmp_path / "a.zip", {f"pets/{name}": content for name, content in good().items()}))
    assert len(packed.val) == 6


def test_the_check_reports_and_keeps_a_packed_file_that_opens_to_the_same_images(tmp_path: Path) -> None:
    source = archive(tmp_path / "a.zip", good() | {"README.txt": b"hello"})
    report = inspect_dataset(source, tmp_path)
    assert report["classes"] == ["cat", "dog"]
    assert report["splits"] == {"train": 6, "val": 6}
    assert report["image"] == {"channels": 3, "height": 8, "width": 8}
    assert report["class_counts"] == {"train": [3, 3], "val": [3, 3]}
    assert "1 files outside" in report["notices"][0]
    assert torch.equal(open_dataset(tmp_path / "packed.safetensors").train.images, open_dataset(source).train.images)


def test_images_of_other_sizes_are_brought_to_the_most_common_and_said_to_be(tmp_path: Path) -> None:
    packed = open_dataset(archive(tmp_path / "a.zip", good() | {"train/cat/9.png": png(200, (20, 30))}))
    assert packed.size == (8, 8)
    assert packed.train.images[3].unique().tolist() == [200]
    assert "1 images of other sizes" in packed.notices[0]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.fromarray(np.full((8, 8), 77, np.uint8)), 77),
        (Image.fromarray(np.full((8, 8), 77 << 8, np.uint16)), 77),
        (Image.new("RGBA", (8, 8), (0, 0, 0, 0)), 255),
        (Image.new("RGB", (8, 8), (77, 77, 77)).convert("P", palette=Image.Palette.ADAPTIVE), 77),
        (Image.new("1", (8, 8), 1), 255),
    ],
    ids=["grey", "16 bits", "transparent", "palette", "bilevel"],
)
def test_images_of_every_mode_become_rgb_of_8_bits(tmp_path: Path, image: Image.Image, expected: int) -> None:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    packed = open_dataset(archive(tmp_path / "a.zip", good() | {"train/cat/9.png": stream.getvalue()}))
    assert packed.train.images[3].unique().tolist() == [expected]


def test_a_photograph_on_its_side_is_turned_upright(tmp_path: Path) -> None:
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    Image.fromarray(np.repeat(np.arange(8, dtype=np.uint8)[:, None] * 30, 8, axis=1)).save(stream, "PNG", exif=exif)
    packed = open_dataset(archive(tmp_path / "a.zip", good() | {"train/cat/9.png": stream.getvalue()}))
    assert packed.train.images[3, 0, 0].tolist() == [210, 180, 150, 120, 90, 60, 30, 0]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"val/dog": None}, "1 class.* of train have no image in val: 'dog'"),
        ({"train/dog": None}, "1 class.* of val have no image in train: 'dog'"),
        ({"train": None}, "no image under train"),
        ({"train/dog": None, "val/dog": None}, "only one class"),
    ],
)
def test_a_layout_that_makes_no_sense_names_the_split_and_class(tmp_path: Path, change: dict[str, None], what: str) -> None:
    files = {name: content for name, content in good().items() if not name.startswith(tuple(change))}
    with pytest.raises(LayoutInvalid, match=what):
        open_dataset(archive(tmp_path / "a.zip", files))


@pytest.mark.parametrize(
    "content",
    [b"", b"not an image", noise()[:1000], b"<svg xmlns='http://www.w3.org/2000/svg'/>"],
    ids=["empty", "text", "truncated", "svg"],
)
def test_an_image_that_does_not_decode_is_named(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ImageUnreadable, match=r"train/cat/9\.png"):
        open_dataset(archive(tmp_path / "a.zip", good() | {"train/cat/9.png": content}))


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    with pytest.raises(ImageUnreadable, match="more than the limit of 50"):
        open_dataset(archive(tmp_path / "a.zip", good()), Reading(Limits(image_pixels=50)))


def test_a_set_beyond_the_memory_limit_is_refused_with_its_size(tmp_path: Path) -> None:
    with pytest.raises(DatasetTooLarge, match="more than the limit"):
        open_dataset(archive(tmp_path / "a.zip", good()), Reading(Limits(packed_bytes=100)))


def test_a_safetensors_file_that_is_no_packed_set_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(ArchiveUnreadable, match="not a packed data set"):
        open_dataset(tmp_path / "a.safetensors")


def test_a_compressed_tar_is_unpacked_twice_in_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as packing:
        for name, content in good().items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            packing.addfile(info, io.BytesIO(content))
    opened, open_tar = [], tarfile.open

    def counted(*args: Any, **given: Any) -> Any:
        opened.extend(mode for mode in [given.get("mode")] if mode)
        return open_tar(*args, **given)

    monkeypatch.setattr(tarfile, "open", counted)
    packed = open_dataset(path)
    assert opened == ["r|*", "r|*"]
    assert torch.equal(packed.train.images, open_dataset(archive(tmp_path / "a.zip", good())).train.images)


def test_cifar_images_decode_to_the_official_counts(shared_data: Path) -> None:
    packed = open_dataset(shared_data / "cifar10_subset_png.zip")
    assert packed.train.images.shape == (5000, 3, 32, 32)
    assert packed.val.labels.bincount().tolist() == [100] * 10
    assert packed.classes[0] == "airplane"
