"""Tests for datasets without labels, in every format that supports them."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dlkd_core.data import ImageDataset, ReadOptions, open_dataset
from dlkd_core.data.inspection import inspect_dataset
from dlkd_core.errors import ImageUnreadable, LayoutInvalid
from tests.dlkd_core.data.sample_images import encode_png, random_images, tar_bytes, write_zip

TRAIN, VAL = random_images(20, seed=1), random_images(4, seed=2)
LABELS = [0, 1, 0, 1]


def write_folders(path: Path, labels: list[int] | None) -> Path:
    val = [
        f"val/{'ab'[labels[row]]}/{row}.png" if labels else f"val/{row}.png"
        for row in range(len(VAL))
    ]
    files = {f"train/{row:02}.png": encode_png(image) for row, image in enumerate(TRAIN)}
    return write_zip(
        path / "set.zip",
        files | dict(zip(val, map(encode_png, VAL), strict=True)) | {"train/README.md": b"hello"},
    )


def write_arrays(path: Path, labels: list[int] | None) -> Path:
    np.savez(
        path / "set.npz",
        train_images=TRAIN,
        val_images=VAL,
        **({"val_labels": labels} if labels else {}),
    )
    return path / "set.npz"


def write_parquet(path: Path, labels: list[int] | None) -> Path:
    files = {}
    for split, images, split_labels in (("train", TRAIN, None), ("val", VAL, labels)):
        columns = {
            "image": pa.array([{"bytes": encode_png(image), "path": None} for image in images])
        }
        stream = io.BytesIO()
        pq.write_table(
            pa.table(columns | ({"label": pa.array(split_labels)} if split_labels else {})), stream
        )
        files[f"{split}.parquet"] = stream.getvalue()
    return write_zip(path / "set.zip", files)


def write_shards(path: Path, labels: list[int] | None) -> Path:
    val = {f"{row}.png": encode_png(image) for row, image in enumerate(VAL)}
    val |= {f"{row}.cls": str(label).encode() for row, label in enumerate(labels or [])}
    files = {
        "train-0.tar": tar_bytes(
            {f"{row:02}.png": encode_png(image) for row, image in enumerate(TRAIN)}
        ),
        "val-0.tar": tar_bytes(val),
    }
    return write_zip(path / "set.zip", files)


FORMATS = {
    "folders": write_folders,
    "arrays": write_arrays,
    "parquet": write_parquet,
    "shards": write_shards,
}
Write = Callable[[Path, list[int] | None], Path]


def image_contents(dataset: ImageDataset) -> list[list[bytes]]:
    return [
        sorted(image.numpy().tobytes() for image in split.images[:])
        for split in (dataset.train, dataset.val)
    ]


EXPECTED = [
    sorted(image.transpose(2, 0, 1).tobytes() for image in images) for images in (TRAIN, VAL)
]


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS.keys())
def test_training_images_may_lack_labels_that_the_evaluation_images_have(
    write: Write, tmp_path: Path
) -> None:
    dataset = open_dataset(write(tmp_path, LABELS))
    assert image_contents(dataset) == EXPECTED
    assert dataset.train.labels.tolist() == [-1] * 20
    assert sorted(dataset.val.labels.tolist()) == [0, 0, 1, 1]
    assert len(dataset.classes) == 2
    assert (dataset.train.is_labeled, dataset.val.is_labeled) == (False, True)
    assert "The training images have no labels" in dataset.notices[-1]


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS.keys())
def test_a_set_without_any_label_has_no_classes(write: Write, tmp_path: Path) -> None:
    dataset = open_dataset(write(tmp_path, None))
    assert image_contents(dataset) == EXPECTED
    assert dataset.classes == ()
    assert set(dataset.train.labels.tolist()) == set(dataset.val.labels.tolist()) == {-1}
    assert "None of the images has a label" in dataset.notices[-1]


def test_the_packed_file_and_the_report_keep_missing_labels(tmp_path: Path) -> None:
    path = write_folders(tmp_path, LABELS)
    report = inspect_dataset(path, tmp_path)
    assert (report["classes"], report["splits"]) == (["a", "b"], {"train": 20, "val": 4})
    assert report["class_counts"] == {"train": [0, 0], "val": [2, 2]}
    assert "The training images have no labels" in report["notices"][-1]
    assert image_contents(open_dataset(tmp_path / "packed.safetensors")) == EXPECTED
    assert open_dataset(tmp_path / "packed.safetensors").train.labels.tolist() == [-1] * 20
    assert inspect_dataset(write_folders(tmp_path, None), tmp_path)["classes"] == []


def test_without_a_val_split_a_tenth_of_the_unlabeled_images_is_held_out(tmp_path: Path) -> None:
    files = {f"photos/train/{row:02}.png": encode_png(image) for row, image in enumerate(TRAIN)}
    first, again = (open_dataset(write_zip(tmp_path / f"{name}.zip", files)) for name in "xy")
    assert (len(first.train), len(first.val)) == (18, 2)
    assert image_contents(first) == image_contents(again)
    assert sorted(image_contents(first)[0] + image_contents(first)[1]) == EXPECTED[0]


def test_images_next_to_class_folders_are_ignored(tmp_path: Path) -> None:
    files = {
        f"{split}/{label}/1.png": encode_png(VAL[0]) for split in ("train", "val") for label in "ab"
    }
    dataset = open_dataset(
        write_zip(
            tmp_path / "set.zip",
            files | {"train/stray.png": encode_png(VAL[1]), "val/broken.png": b""},
        )
    )
    assert dataset.train.labels.tolist() == [0, 1]
    assert dataset.notices[0].startswith("2 images outside the split and class folders were")


def test_labels_only_for_training_images_are_refused(tmp_path: Path) -> None:
    files = {f"train/{label}/1.png": encode_png(VAL[0]) for label in "ab"} | {
        "val/1.png": encode_png(VAL[0])
    }
    with pytest.raises(LayoutInvalid, match="of train have no image in val"):
        open_dataset(write_zip(tmp_path / "set.zip", files))
    np.savez(tmp_path / "set.npz", train_images=TRAIN, train_labels=[0, 1] * 10, val_images=VAL)
    with pytest.raises(LayoutInvalid, match="the val images have none"):
        open_dataset(tmp_path / "set.npz")


def test_a_broken_unlabeled_image_is_named_as_in_the_archive(tmp_path: Path) -> None:
    train = {"00.png": b"broken"} | {
        f"{row:02}.png": encode_png(image) for row, image in enumerate(TRAIN) if row
    }
    files = {"train-0.tar": tar_bytes(train), "val-0.tar": tar_bytes({"0.png": encode_png(VAL[0])})}
    with pytest.raises(ImageUnreadable, match=r"^train/train-0\.tar/00 is not an image"):
        open_dataset(write_zip(tmp_path / "set.zip", files))


def test_unlabeled_images_may_stay_on_disk(tmp_path: Path) -> None:
    path = write_folders(tmp_path, None)
    dataset = open_dataset(path, ReadOptions(max_memory_bytes=100, cache_dir=tmp_path / "cache"))
    assert dataset.on_disk
    assert image_contents(dataset) == EXPECTED
