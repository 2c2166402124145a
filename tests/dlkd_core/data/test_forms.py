"""The forms in which data sets come. One small set, written in each of them, opens to the same images and labels."""

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

from dlkd_core.catalog.sources import SOURCES
from dlkd_core.data import Packed, open_dataset
from dlkd_core.errors import ArchiveUnreadable, ImageUnreadable, LayoutInvalid
from tests.dlkd_core.data.pictures import png, tarred, zipped

NAMES = ("cat", "ant", "bee")  # not in the order of the alphabet: labels are indices here
Pixels = npt.NDArray[np.uint8]
Sets = dict[str, tuple[Pixels, list[int]]]  # split -> images (N, 32, 32, 3), labels


def sets() -> Sets:
    random = np.random.default_rng(0)
    rows = {"train": [2, 0, 1, 0, 2, 1], "val": [1, 0, 2]}
    return {split: (random.integers(0, 256, (len(labels), 32, 32, 3), np.uint8), labels) for split, labels in rows.items()}


def rows(name: str = "{split}-{row}") -> Iterator[tuple[str, str, int, Pixels]]:
    for split, (images, labels) in sets().items():
        for row, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield split, name.format(split=split, row=row), label, image


def npz(folder: Path) -> Path:
    arrays = {
        f"{split}_{kind}": part for split, pair in sets().items() for kind, part in zip(("images", "labels"), pair, strict=True)
    }
    np.savez(folder / "set.npz", classes=np.array(NAMES), **arrays)
    return folder / "set.npz"


def keras(folder: Path) -> Path:
    train, val = sets().values()
    np.savez_compressed(folder / "mnist.npz", x_train=train[0], y_train=train[1], x_test=val[0], y_test=val[1])
    return folder / "mnist.npz"


def cifar10(folder: Path) -> Path:
    def of(split: str) -> bytes:
        return b"".join(bytes([label]) + image.transpose(2, 0, 1).tobytes() for name, _, label, image in rows() if name == split)

    files = {"data_batch_1.bin": of("train"), "test_batch.bin": of("val"), "batches.meta.txt": "\n".join(NAMES).encode()}
    return zipped(folder / "cifar.zip", {f"cifar-10-batches-bin/{name}": content for name, content in files.items()})


def cifar100(folder: Path) -> Path:
    def of(split: str) -> bytes:
        return b"".join(
            bytes([7, label]) + image.transpose(2, 0, 1).tobytes() for name, _, label, image in rows() if name == split
        )

    files = {"train.bin": of("train"), "test.bin": of("val"), "fine_label_names.txt": "\n".join(NAMES).encode()}
    return zipped(folder / "cifar100.zip", files)


def parquet(folder: Path) -> Path:
    features = {"image": {"_type": "Image"}, "label": {"names": list(NAMES), "_type": "ClassLabel"}}
    told = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    files = {}
    for split, word in (("train", "train"), ("val", "validation")):
        mine = [(label, image) for name, _, label, image in rows() if name == split]
        images = pa.array([{"bytes": png(image), "path": None} for _, image in mine])
        table = pa.table({"image": images, "label": pa.array([label for label, _ in mine])}).replace_schema_metadata(told)
        stream = io.BytesIO()
        pq.write_table(table, stream)
        files[f"data/{word}-00000-of-00001.parquet"] = stream.getvalue()
    return zipped(folder / "hub.zip", files)


def webdataset_samples(split: str) -> dict[str, bytes]:
    files = {}
    for name, key, label, image in rows("{split}/{row:04}"):
        if name == split:
            files |= {f"{key}.png": png(image), f"{key}.cls": str(label).encode()}
    return files


def webdataset(folder: Path) -> Path:
    (folder / "set.tar").write_bytes(tarred(webdataset_samples("train") | webdataset_samples("val")))
    return folder / "set.tar"


def shards(folder: Path) -> Path:
    return zipped(folder / "shards.zip", {f"{split}-000.tar": tarred(webdataset_samples(split)) for split in ("train", "val")})


NAMED = {"npz": npz, "cifar10": cifar10, "cifar100": cifar100, "parquet": parquet}
NUMBERED = {"keras": keras, "webdataset": webdataset, "shards": shards}


def by_content(packed: Packed) -> dict[str, set[tuple[bytes, int]]]:
    """Images and labels of each split, whatever their order."""
    splits = {"train": packed.train, "val": packed.val}
    return {
        name: {(image.numpy().tobytes(), int(label)) for image, label in zip(split.images, split.labels, strict=True)}
        for name, split in splits.items()
    }


def plain(images: Pixels, labels: list[int]) -> set[tuple[bytes, int]]:
    return {(image.transpose(2, 0, 1).tobytes(), label) for image, label in zip(images, labels, strict=True)}


EXPECTED = {split: plain(*pair) for split, pair in sets().items()}


@pytest.mark.parametrize("write", NAMED.values(), ids=NAMED.keys())
def test_forms_that_name_their_classes_keep_the_order_of_the_indices(write: Callable[[Path], Path], tmp_path: Path) -> None:
    packed = open_dataset(write(tmp_path))
    assert packed.classes == NAMES
    assert by_content(packed) == EXPECTED


@pytest.mark.parametrize("write", NUMBERED.values(), ids=NUMBERED.keys())
def test_forms_without_names_call_the_classes_by_their_numbers(write: Callable[[Path], Path], tmp_path: Path) -> None:
    packed = open_dataset(write(tmp_path))
    assert packed.classes == ("0", "1", "2")
    assert by_content(packed) == EXPECTED


def test_mnists_own_files_are_read_and_grey_images_have_three_channels(tmp_path: Path) -> None:
    files = {}
    for split, word in (("train", "train"), ("val", "t10k")):
        images, labels = sets()[split]
        grey = images[..., 0]
        head = b"\0\0\x08\x03" + np.array(grey.shape, ">u4").tobytes()
        files[f"{word}-images-idx3-ubyte.gz"] = gzip.compress(head + grey.tobytes())
        files[f"{word}-labels-idx1-ubyte"] = b"\0\0\x08\x01" + np.array([len(labels)], ">u4").tobytes() + bytes(labels)
    packed = open_dataset(zipped(tmp_path / "mnist.zip", files))
    assert packed.train.labels.tolist() == sets()["train"][1]
    assert np.array_equal(packed.val.images[:, 2].numpy(), sets()["val"][0][..., 0])


def test_without_a_val_split_a_tenth_of_each_class_becomes_one_and_it_is_always_the_same(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), np.uint8)
    files = {f"train/{'ab'[row % 2]}/{row:02}.png": png(image) for row, image in enumerate(images)}
    first, again = (open_dataset(zipped(tmp_path / f"{name}.zip", files)) for name in "xy")
    assert (len(first.train), first.val.labels.tolist()) == (54, [0, 0, 0, 1, 1, 1])
    assert by_content(first) == by_content(again)
    assert by_content(first)["train"].isdisjoint(by_content(first)["val"])
    assert "no val split: 6 training images" in first.notices[0]


def damaged(train: int) -> dict[str, bytes]:
    """So many training images, the last of which breaks off in its pixels."""
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    files = {f"train/{'ab'[row % 2]}/{row:03}.png": png(image) for row in range(train)}
    last = max(files)
    return {**files, last: files[last][:120], "val/a/1.png": png(image), "val/b/1.png": png(image)}


def test_a_few_broken_training_images_are_left_out_and_listed(tmp_path: Path) -> None:
    packed = open_dataset(zipped(tmp_path / "few.zip", damaged(100)))
    assert (len(packed.train), packed.train.labels.tolist().count(1)) == (99, 49)
    assert "1 training images were left out: train/b/099.png" in packed.notices[0]


def test_more_of_them_end_it(tmp_path: Path) -> None:
    with pytest.raises(ImageUnreadable, match=r"train/b/019\.png"):
        open_dataset(zipped(tmp_path / "many.zip", damaged(20)))


GREY = np.zeros((4, 8, 8), np.uint8)
BROKEN = {
    "an array of objects": ({"train_images": np.array([{}], object), "train_labels": [0]}, ArchiveUnreadable, "Object arrays"),
    "other names": ({"pictures": GREY}, LayoutInvalid, "pictures"),
    "floats": ({"train_images": GREY / 2, "train_labels": [0, 0, 1, 1]}, LayoutInvalid, "float64"),
    "too few labels": ({"train_images": GREY, "train_labels": [0, 1]}, LayoutInvalid, "4 images and 2 labels"),
}


@pytest.mark.parametrize(("arrays", "error", "words"), BROKEN.values(), ids=BROKEN.keys())
def test_arrays_that_are_no_data_set_are_refused_with_what_was_found(
    arrays: dict[str, Any], error: type[Exception], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, **arrays)
    archive = zipped(tmp_path / "set.zip", {"set.npz": path.read_bytes()})
    with pytest.raises(error, match=words):
        open_dataset(archive)


def test_a_cut_file_of_records_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(ArchiveUnreadable, match=r"data_batch_1\.bin is no whole number of records"):
        open_dataset(zipped(tmp_path / "cifar.zip", {"data_batch_1.bin": bytes(5000)}))


def test_a_table_without_images_names_its_columns(tmp_path: Path) -> None:
    stream = io.BytesIO()
    pq.write_table(pa.table({"text": ["a"], "label": [0]}), stream)
    with pytest.raises(LayoutInvalid, match="text, label"):
        open_dataset(zipped(tmp_path / "set.zip", {"train.parquet": stream.getvalue()}))


def test_every_form_is_shown_above() -> None:
    assert set(SOURCES) == {"arrays", "idx", "cifar_binary", "parquet", "webdataset", "folders"}
