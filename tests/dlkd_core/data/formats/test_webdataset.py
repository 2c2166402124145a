"""Tests for the labels and splits of WebDataset shards."""

import json
from pathlib import Path

import pytest

from dlkd_core.data import open_dataset
from dlkd_core.data.dataset import ImageDataset
from dlkd_core.errors import LayoutInvalid
from tests.dlkd_core.data.sample_images import encode_png, random_images, tar_bytes, write_zip

IMAGES = [encode_png(image) for image in random_images(12)]


def make_shard(suffix: str, labels: list[bytes]) -> bytes:
    files: dict[str, bytes] = {}
    for number, label in enumerate(labels):
        files |= {f"{number:03}.png": IMAGES[number], f"{number:03}.{suffix}": label}
    return tar_bytes(files)


def open_shards(tmp_path: Path, shards: dict[str, bytes]) -> ImageDataset:
    return open_dataset(write_zip(tmp_path / "shards.zip", shards))


@pytest.mark.parametrize("suffix", ["cls", "txt", "json"])
@pytest.mark.parametrize("labels", [("0", "1"), ("dog", "ant")])
def test_labels_are_indices_or_words_in_several_kinds_of_files(
    tmp_path: Path, suffix: str, labels: tuple[str, str]
) -> None:
    def encode(label: str) -> bytes:
        value = int(label) if label.isdecimal() else label
        record = {"width": 8, "label": value}
        return json.dumps(record).encode() if suffix == "json" else f"{label}\n".encode()

    contents = [encode(labels[row % 2]) for row in range(12)]
    train, val = make_shard(suffix, contents), make_shard(suffix, contents[:4])
    dataset = open_shards(tmp_path, {"train-0.tar": train, "val-0.tar": val})
    assert dataset.classes == tuple(sorted(labels))
    assert (len(dataset.train), len(dataset.val)) == (12, 4)
    rows = {bytes(image.transpose(2, 0, 1)): row for row, image in enumerate(random_images(12))}
    for image, label in zip(dataset.train.images[:], dataset.train.labels, strict=True):
        assert dataset.classes[label] == labels[rows[bytes(image.numpy())] % 2]


def test_captions_are_no_labels(tmp_path: Path) -> None:
    shard = make_shard("txt", [f"a photo, number {row}".encode() for row in range(12)])
    assert open_shards(tmp_path, {"train-0.tar": shard}).classes == ()


def test_images_without_a_label_are_counted(tmp_path: Path) -> None:
    labels = [str(row % 2).encode() for row in range(10)]
    extra = tar_bytes({"900.png": IMAGES[10], "901.png": IMAGES[11]})
    dataset = open_shards(
        tmp_path, {"train-0.tar": make_shard("cls", labels), "train-1.tar": extra}
    )
    assert len(dataset.train) + len(dataset.val) == 10
    assert dataset.notices[0] == "2 images without a label were left out."


def test_a_test_shard_beside_a_validation_shard_is_kept(tmp_path: Path) -> None:
    labels = [str(row % 2).encode() for row in range(12)]
    shards = {
        f"{name}-0.tar": make_shard("cls", labels[:count])
        for name, count in (("train", 12), ("valid", 6), ("test", 4))
    }
    dataset = open_shards(tmp_path, shards)
    assert (len(dataset.train), len(dataset.val)) == (12, 6)
    assert dataset.test is not None
    assert dataset.test.labels.tolist() == [0, 0, 1, 1]


def test_indices_and_words_are_not_mixed(tmp_path: Path) -> None:
    with pytest.raises(LayoutInvalid, match="one of them contains 'dog'"):
        open_shards(tmp_path, {"train-0.tar": make_shard("cls", [b"0", b"1", b"dog"])})


def test_a_shard_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    shard = make_shard("cls", [str(row % 2).encode() for row in range(12)])
    cut = shard[: 6 * (2 * 512 + 512 + 512)]
    with pytest.raises(Exception, match=r"incomplete|cannot be read"):
        open_shards(tmp_path, {"train-0.tar": cut})
