"""Tests that a small dataset yields the same images and labels in every format."""

import gzip
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dlkd_core.catalog.dataset_formats import DATASET_FORMATS
from dlkd_core.data import ImageDataset, open_dataset
from dlkd_core.errors import ArchiveUnreadable, ImageUnreadable, LayoutInvalid
from tests.dlkd_core.data.sample_images import encode_png, tar_bytes, write_zip

NAMES = ("cat", "ant", "bee")  # not sorted, so that a reader that sorts class names fails
Pixels = npt.NDArray[np.uint8]
Sets = dict[str, tuple[Pixels, list[int]]]  # keyed by split: images (N, 32, 32, 3) and labels


def make_splits() -> Sets:
    random = np.random.default_rng(0)
    rows = {"train": [2, 0, 1, 0, 2, 1], "val": [1, 0, 2]}
    return {
        split: (random.integers(0, 256, (len(labels), 32, 32, 3), np.uint8), labels)
        for split, labels in rows.items()
    }


def make_records(name: str = "{split}-{row}") -> Iterator[tuple[str, str, int, Pixels]]:
    for split, (images, labels) in make_splits().items():
        for row, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield split, name.format(split=split, row=row), label, image


def write_npz(folder: Path) -> Path:
    arrays = {
        f"{split}_{kind}": part
        for split, pair in make_splits().items()
        for kind, part in zip(("images", "labels"), pair, strict=True)
    }
    np.savez(folder / "set.npz", classes=np.array(NAMES), **arrays)
    return folder / "set.npz"


def write_keras(folder: Path) -> Path:
    train, val = make_splits().values()
    np.savez_compressed(
        folder / "mnist.npz", x_train=train[0], y_train=train[1], x_test=val[0], y_test=val[1]
    )
    return folder / "mnist.npz"


def write_cifar10(folder: Path) -> Path:
    def join_records(split: str) -> bytes:
        return b"".join(
            bytes([label]) + image.transpose(2, 0, 1).tobytes()
            for name, _, label, image in make_records()
            if name == split
        )

    files = {
        "data_batch_1.bin": join_records("train"),
        "test_batch.bin": join_records("val"),
        "batches.meta.txt": "\n".join(NAMES).encode(),
    }
    return write_zip(
        folder / "cifar.zip",
        {f"cifar-10-batches-bin/{name}": content for name, content in files.items()},
    )


def write_cifar100(folder: Path) -> Path:
    def join_records(split: str) -> bytes:
        return b"".join(
            bytes([7, label]) + image.transpose(2, 0, 1).tobytes()
            for name, _, label, image in make_records()
            if name == split
        )

    files = {
        "train.bin": join_records("train"),
        "test.bin": join_records("val"),
        "fine_label_names.txt": "\n".join(NAMES).encode(),
    }
    return write_zip(folder / "cifar100.zip", files)


def write_parquet(folder: Path) -> Path:
    features = {"image": {"_type": "Image"}, "label": {"names": list(NAMES), "_type": "ClassLabel"}}
    metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    files = {}
    for split, file_name in (("train", "train"), ("val", "validation")):
        rows = [(label, image) for name, _, label, image in make_records() if name == split]
        images = pa.array([{"bytes": encode_png(image), "path": None} for _, image in rows])
        table = pa.table(
            {"image": images, "label": pa.array([label for label, _ in rows])}
        ).replace_schema_metadata(metadata)
        stream = io.BytesIO()
        pq.write_table(table, stream)
        files[f"data/{file_name}-00000-of-00001.parquet"] = stream.getvalue()
    return write_zip(folder / "hub.zip", files)


def webdataset_samples(split: str) -> dict[str, bytes]:
    files = {}
    for name, key, label, image in make_records("{split}/{row:04}"):
        if name == split:
            files |= {f"{key}.png": encode_png(image), f"{key}.cls": str(label).encode()}
    return files


def write_webdataset(folder: Path) -> Path:
    (folder / "set.tar").write_bytes(
        tar_bytes(webdataset_samples("train") | webdataset_samples("val"))
    )
    return folder / "set.tar"


def write_shards(folder: Path) -> Path:
    return write_zip(
        folder / "shards.zip",
        {f"{split}-000.tar": tar_bytes(webdataset_samples(split)) for split in ("train", "val")},
    )


NAMED = {
    "npz": write_npz,
    "cifar10": write_cifar10,
    "cifar100": write_cifar100,
    "parquet": write_parquet,
}
NUMBERED = {"keras": write_keras, "webdataset": write_webdataset, "shards": write_shards}


def by_content(dataset: ImageDataset) -> dict[str, set[tuple[bytes, int]]]:
    """Return the (image, label) pairs of each split as a set, which ignores their order."""
    splits = {"train": dataset.train, "val": dataset.val}
    return {
        name: {
            (image.numpy().tobytes(), int(label))
            for image, label in zip(split.images, split.labels, strict=True)
        }
        for name, split in splits.items()
    }


def to_arrays(images: Pixels, labels: list[int]) -> set[tuple[bytes, int]]:
    return {
        (image.transpose(2, 0, 1).tobytes(), label)
        for image, label in zip(images, labels, strict=True)
    }


EXPECTED = {split: to_arrays(*pair) for split, pair in make_splits().items()}


@pytest.mark.parametrize("write", NAMED.values(), ids=NAMED.keys())
def test_formats_with_class_names_keep_the_order_of_the_indices(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    dataset = open_dataset(write(tmp_path))
    assert dataset.classes == NAMES
    assert by_content(dataset) == EXPECTED


@pytest.mark.parametrize("write", NUMBERED.values(), ids=NUMBERED.keys())
def test_formats_without_class_names_use_the_numbers(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    dataset = open_dataset(write(tmp_path))
    assert dataset.classes == ("0", "1", "2")
    assert by_content(dataset) == EXPECTED


def test_idx_files_are_read_as_grayscale_images(tmp_path: Path) -> None:
    files = {}
    for split, prefix in (("train", "train"), ("val", "t10k")):
        images, labels = make_splits()[split]
        gray = images[..., 0]
        header = b"\0\0\x08\x03" + np.array(gray.shape, ">u4").tobytes()
        files[f"{prefix}-images-idx3-ubyte.gz"] = gzip.compress(header + gray.tobytes())
        files[f"{prefix}-labels-idx1-ubyte"] = (
            b"\0\0\x08\x01" + np.array([len(labels)], ">u4").tobytes() + bytes(labels)
        )
    dataset = open_dataset(write_zip(tmp_path / "mnist.zip", files))
    assert dataset.train.labels.tolist() == make_splits()["train"][1]
    assert dataset.channels == 1
    assert np.array_equal(dataset.val.images[:, 0].numpy(), make_splits()["val"][0][..., 0])


def test_without_a_val_split_the_same_tenth_of_each_class_is_always_held_out(
    tmp_path: Path,
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), np.uint8)
    files = {
        f"train/{'ab'[row % 2]}/{row:02}.png": encode_png(image) for row, image in enumerate(images)
    }
    first, again = (open_dataset(write_zip(tmp_path / f"{name}.zip", files)) for name in "xy")
    assert (len(first.train), first.val.labels.tolist()) == (54, [0, 0, 0, 1, 1, 1])
    assert by_content(first) == by_content(again)
    assert by_content(first)["train"].isdisjoint(by_content(first)["val"])
    assert "no val split: 6 training images" in first.notices[0]


def make_damaged_files(train: int) -> dict[str, bytes]:
    """Return files of two val and `train` training images. Truncate the last training image."""
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    files = {f"train/{'ab'[row % 2]}/{row:03}.png": encode_png(image) for row in range(train)}
    last = max(files)
    return {
        **files,
        last: files[last][:120],
        "val/a/1.png": encode_png(image),
        "val/b/1.png": encode_png(image),
    }


def test_a_few_broken_training_images_are_skipped_and_listed(tmp_path: Path) -> None:
    dataset = open_dataset(write_zip(tmp_path / "few.zip", make_damaged_files(100)))
    assert (len(dataset.train), dataset.train.labels.tolist().count(1)) == (99, 49)
    assert "1 training images were skipped: train/b/099.png" in dataset.notices[0]


def test_many_broken_training_images_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageUnreadable, match=r"train/b/019\.png"):
        open_dataset(write_zip(tmp_path / "many.zip", make_damaged_files(20)))


GRAY = np.zeros((4, 8, 8), np.uint8)
BROKEN = {
    "an array of objects": (
        {"train_images": np.array([{}], object), "train_labels": [0]},
        ArchiveUnreadable,
        "Object arrays",
    ),
    "other names": ({"pictures": GRAY}, LayoutInvalid, "pictures"),
    "floats": ({"train_images": GRAY / 2, "train_labels": [0, 0, 1, 1]}, LayoutInvalid, "float64"),
    "too few labels": (
        {"train_images": GRAY, "train_labels": [0, 1]},
        LayoutInvalid,
        "4 images and 2 labels",
    ),
}


@pytest.mark.parametrize(("arrays", "error", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_invalid_arrays_are_refused_with_the_reason(
    arrays: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, **arrays)
    archive = write_zip(tmp_path / "set.zip", {"set.npz": path.read_bytes()})
    with pytest.raises(error, match=message):
        open_dataset(archive)


def test_a_truncated_file_of_records_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ArchiveUnreadable, match=r"The size of data_batch_1\.bin is not a multiple"):
        open_dataset(write_zip(tmp_path / "cifar.zip", {"data_batch_1.bin": bytes(5000)}))


def test_a_table_without_images_is_refused_with_its_columns(tmp_path: Path) -> None:
    stream = io.BytesIO()
    pq.write_table(pa.table({"text": ["a"], "label": [0]}), stream)
    with pytest.raises(LayoutInvalid, match="text, label"):
        open_dataset(write_zip(tmp_path / "set.zip", {"train.parquet": stream.getvalue()}))


def test_every_format_of_the_catalog_is_tested() -> None:
    assert set(DATASET_FORMATS) == {
        "arrays",
        "idx",
        "cifar_binary",
        "parquet",
        "webdataset",
        "folders",
    }
