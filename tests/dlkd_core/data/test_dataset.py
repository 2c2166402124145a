"""Tests for opening folders and archives as datasets."""

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from dlkd_core.data import open_dataset
from dlkd_core.data.inspection import inspect_dataset
from dlkd_core.data.read_options import DatasetLimits, ReadOptions
from dlkd_core.errors import ArchiveUnreadable, DatasetTooLarge, ImageUnreadable, LayoutInvalid
from tests.dlkd_core.data.sample_images import write_zip


def encode_png(value: int = 0, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size, (value,) * len(mode) if len(mode) > 1 else value).save(stream, "PNG")
    return stream.getvalue()


def random_png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)).save(
        stream, "PNG"
    )
    return stream.getvalue()


def valid_files() -> dict[str, bytes]:
    return {
        f"{split}/{label}/{n}.png": encode_png(10 * n)
        for split in ("train", "val")
        for label in ("cat", "dog")
        for n in range(3)
    }


def test_labels_follow_the_sorted_class_names_and_rows_the_sorted_paths(tmp_path: Path) -> None:
    dataset = open_dataset(write_zip(tmp_path / "a.zip", dict(reversed(valid_files().items()))))
    assert dataset.classes == ("cat", "dog")
    assert dataset.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert dataset.train.images[:, 0, 0, 0].tolist() == [0, 10, 20, 0, 10, 20]
    assert dataset.train.images.dtype == torch.uint8
    assert dataset.image_size == (8, 8)


def test_one_folder_around_the_splits_is_allowed(tmp_path: Path) -> None:
    dataset = open_dataset(
        write_zip(
            tmp_path / "a.zip", {f"pets/{name}": content for name, content in valid_files().items()}
        )
    )
    assert len(dataset.val) == 6


def test_inspection_reports_and_writes_a_packed_file_with_the_same_images(
    tmp_path: Path,
) -> None:
    source = write_zip(tmp_path / "a.zip", valid_files() | {"README.txt": b"hello"})
    report = inspect_dataset(source, tmp_path)
    assert report["classes"] == ["cat", "dog"]
    assert report["splits"] == {"train": 6, "val": 6}
    assert report["image"] == {"channels": 3, "height": 8, "width": 8}
    assert report["class_counts"] == {"train": [3, 3], "val": [3, 3]}
    assert report["notices"][0] == "1 file that is not an image was ignored."
    assert torch.equal(
        open_dataset(tmp_path / "packed.safetensors").train.images,
        open_dataset(source).train.images,
    )


def test_images_of_other_sizes_are_resized_to_the_most_common_size_with_a_notice(
    tmp_path: Path,
) -> None:
    dataset = open_dataset(
        write_zip(
            tmp_path / "a.zip", valid_files() | {"train/cat/9.png": encode_png(200, (20, 30))}
        )
    )
    assert dataset.image_size == (8, 8)
    assert dataset.train.images[3].unique().tolist() == [200]
    assert "1 images of other sizes" in dataset.notices[0]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.fromarray(np.full((8, 8), 77, np.uint8)), 77),
        (Image.fromarray(np.full((8, 8), 77 << 8, np.uint16)), 77),
        (Image.new("RGBA", (8, 8), (0, 0, 0, 0)), 255),
        (Image.new("RGB", (8, 8), (77, 77, 77)).convert("P", palette=Image.Palette.ADAPTIVE), 77),
        (Image.new("1", (8, 8), 1), 255),
    ],
    ids=["gray", "16 bits", "transparent", "palette", "bilevel"],
)
def test_images_of_every_mode_become_8_bit_rgb(
    tmp_path: Path, image: Image.Image, expected: int
) -> None:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    dataset = open_dataset(
        write_zip(tmp_path / "a.zip", valid_files() | {"train/cat/9.png": stream.getvalue()})
    )
    assert dataset.train.images[3].unique().tolist() == [expected]


def test_the_exif_orientation_is_applied(tmp_path: Path) -> None:
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # the orientation tag requires a rotation by 90 degrees clockwise
    Image.fromarray(np.repeat(np.arange(8, dtype=np.uint8)[:, None] * 30, 8, axis=1)).save(
        stream, "PNG", exif=exif
    )
    dataset = open_dataset(
        write_zip(tmp_path / "a.zip", valid_files() | {"train/cat/9.png": stream.getvalue()})
    )
    assert dataset.train.images[3, 0, 0].tolist() == [210, 180, 150, 120, 90, 60, 30, 0]


def _encode_with_exif(exif: bytes) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "JPEG", exif=exif)
    return stream.getvalue()


def _orientation_exif(value: int, *, length: int | None = None) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif.tobytes()[:length]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_orientations_are_counted(tmp_path: Path) -> None:
    exifs = {
        "upright": _orientation_exif(1),
        "unset": _orientation_exif(0),
        "outside": _orientation_exif(77),
        "truncated": _orientation_exif(6, length=18),
        "not_tiff": b"Exif\x00\x00" + bytes(range(64)),
    }
    files = {f"train/cat/{name}.jpg": _encode_with_exif(exif) for name, exif in exifs.items()}
    dataset = open_dataset(write_zip(tmp_path / "a.zip", valid_files() | files))
    notices = [notice for notice in dataset.notices if "EXIF" in notice]
    assert len(notices) == 1
    assert notices[0].startswith("3 images have an EXIF orientation that cannot be read")


def test_images_without_exif_damage_have_no_notice(tmp_path: Path) -> None:
    files = {"train/cat/9.jpg": _encode_with_exif(_orientation_exif(6))}
    dataset = open_dataset(write_zip(tmp_path / "a.zip", valid_files() | files))
    assert not [notice for notice in dataset.notices if "EXIF" in notice]


@pytest.mark.parametrize(
    ("removed", "message"),
    [
        (["val/dog"], "1 class.* of train have no image in val: 'dog'"),
        (["train/dog"], "1 class.* of val have no image in train: 'dog'"),
        (["train"], "no image under train"),
        (["train/dog", "val/dog"], "only one class"),
    ],
)
def test_an_invalid_layout_is_refused_with_the_split_and_class(
    tmp_path: Path, removed: list[str], message: str
) -> None:
    files = {
        name: content
        for name, content in valid_files().items()
        if not name.startswith(tuple(removed))
    }
    with pytest.raises(LayoutInvalid, match=message):
        open_dataset(write_zip(tmp_path / "a.zip", files))


@pytest.mark.parametrize(
    "content",
    [b"", b"not an image", random_png()[:1000], b"<svg xmlns='http://www.w3.org/2000/svg'/>"],
    ids=["empty", "text", "truncated", "svg"],
)
def test_a_broken_image_is_named(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ImageUnreadable, match=r"train/cat/9\.png"):
        open_dataset(write_zip(tmp_path / "a.zip", valid_files() | {"train/cat/9.png": content}))


def test_an_image_with_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    with pytest.raises(ImageUnreadable, match="more than the limit of 50"):
        open_dataset(
            write_zip(tmp_path / "a.zip", valid_files()),
            ReadOptions(DatasetLimits(image_pixels=50)),
        )


def test_a_data_set_beyond_the_size_limit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetTooLarge, match="more than the limit"):
        open_dataset(
            write_zip(tmp_path / "a.zip", valid_files()),
            ReadOptions(DatasetLimits(packed_bytes=100)),
        )


def test_a_safetensors_file_that_is_not_a_packed_data_set_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(ArchiveUnreadable, match="not a packed dataset"):
        open_dataset(tmp_path / "a.safetensors")


def test_a_compressed_tar_is_read_exactly_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in valid_files().items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    modes, open_tar = [], tarfile.open

    def record_mode(*args: Any, **kwargs: Any) -> Any:
        if "mode" in kwargs:
            modes.append(kwargs["mode"])
        return open_tar(*args, **kwargs)

    monkeypatch.setattr(tarfile, "open", record_mode)
    dataset = open_dataset(path)
    assert modes == ["r|", "r|"]
    assert torch.equal(
        dataset.train.images,
        open_dataset(write_zip(tmp_path / "a.zip", valid_files())).train.images,
    )


def test_a_cifar10_subset_has_the_expected_counts(shared_data: Path) -> None:
    dataset = open_dataset(shared_data / "cifar10_subset_png.zip")
    assert dataset.train.images.shape == (5000, 3, 32, 32)
    assert dataset.val.labels.bincount().tolist() == [100] * 10
    assert dataset.classes[0] == "airplane"
