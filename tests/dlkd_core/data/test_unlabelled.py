"""Images without labels, in the forms that can come without them."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dlkd_core.data import Packed, Reading, open_dataset
from dlkd_core.data.inspect import inspect_dataset
from dlkd_core.errors import ImageUnreadable, LayoutInvalid
from tests.dlkd_core.data.pictures import noise, png, tarred, zipped

TRAIN, VAL = noise(20, seed=1), noise(4, seed=2)
LABELS = [0, 1, 0, 1]


def folders(path: Path, labels: list[int] | None) -> Path:
    val = [f"val/{'ab'[labels[row]]}/{row}.png" if labels else f"val/{row}.png" for row in range(len(VAL))]
    files = {f"train/{row:02}.png": png(image) for row, image in enumerate(TRAIN)}
    return zipped(path / "set.zip", files | dict(zip(val, map(png, VAL), strict=True)) | {"train/README.md": b"hello"})


def arrays(path: Path, labels: list[int] | None) -> Path:
    np.savez(path / "set.npz", train_images=TRAIN, val_images=VAL, **({"val_labels": labels} if labels else {}))
    return path / "set.npz"


def parquet(path: Path, labels: list[int] | None) -> Path:
    files = {}
    for split, images, known in (("train", TRAIN, None), ("val", VAL, labels)):
        columns = {"image": pa.array([{"bytes": png(image), "path": None} for image in images])}
        stream = io.BytesIO()
        pq.write_table(pa.table(columns | ({"label": pa.array(known)} if known else {})), stream)
        files[f"{split}.parquet"] = stream.getvalue()
    return zipped(path / "set.zip", files)


def shards(path: Path, labels: list[int] | None) -> Path:
    val = {f"{row}.png": png(image) for row, image in enumerate(VAL)}
    val |= {f"{row}.cls": str(label).encode() for row, label in enumerate(labels or [])}
    files = {"train-0.tar": tarred({f"{row:02}.png": png(image) for row, image in enumerate(TRAIN)}), "val-0.tar": tarred(val)}
    return zipped(path / "set.zip", files)


FORMS = {"folders": folders, "arrays": arrays, "parquet": parquet, "shards": shards}
Write = Callable[[Path, list[int] | None], Path]


def contents(packed: Packed) -> list[list[bytes]]:
    return [sorted(image.numpy().tobytes() for image in split.images[:]) for split in (packed.train, packed.val)]


EXPECTED = [sorted(image.transpose(2, 0, 1).tobytes() for image in images) for images in (TRAIN, VAL)]


@pytest.mark.parametrize("write", FORMS.values(), ids=FORMS.keys())
def test_training_images_may_lack_labels_that_the_evaluation_images_have(write: Write, tmp_path: Path) -> None:
    packed = open_dataset(write(tmp_path, LABELS))
    assert contents(packed) == EXPECTED
    assert packed.train.labels.tolist() == [-1] * 20
    assert sorted(packed.val.labels.tolist()) == [0, 0, 1, 1]
    assert len(packed.classes) == 2
    assert (packed.train.labelled, packed.val.labelled) == (False, True)
    assert "The training images have no labels" in packed.notices[-1]


@pytest.mark.parametrize("write", FORMS.values(), ids=FORMS.keys())
def test_a_set_without_any_label_has_no_classes(write: Write, tmp_path: Path) -> None:
    packed = open_dataset(write(tmp_path, None))
    assert contents(packed) == EXPECTED
    assert packed.classes == ()
    assert set(packed.train.labels.tolist()) == set(packed.val.labels.tolist()) == {-1}
    assert "None of the images has a label" in packed.notices[-1]


def test_the_packed_file_and_the_checks_report_tell_what_has_no_labels(tmp_path: Path) -> None:
    path = folders(tmp_path, LABELS)
    report = inspect_dataset(path, tmp_path)
    assert (report["classes"], report["splits"]) == (["a", "b"], {"train": 20, "val": 4})
    assert report["class_counts"] == {"train": [0, 0], "val": [2, 2]}
    assert "The training images have no labels" in report["notices"][-1]
    assert contents(open_dataset(tmp_path / "packed.safetensors")) == EXPECTED
    assert open_dataset(tmp_path / "packed.safetensors").train.labels.tolist() == [-1] * 20
    assert inspect_dataset(folders(tmp_path, None), tmp_path)["classes"] == []


def test_without_a_val_split_a_tenth_of_images_without_labels_becomes_one(tmp_path: Path) -> None:
    files = {f"photos/train/{row:02}.png": png(image) for row, image in enumerate(TRAIN)}
    first, again = (open_dataset(zipped(tmp_path / f"{name}.zip", files)) for name in "xy")
    assert (len(first.train), len(first.val)) == (18, 2)
    assert contents(first) == contents(again)
    assert sorted(contents(first)[0] + contents(first)[1]) == EXPECTED[0]


def test_images_beside_class_folders_stay_left_out(tmp_path: Path) -> None:
    files = {f"{split}/{label}/1.png": png(VAL[0]) for split in ("train", "val") for label in "ab"}
    packed = open_dataset(zipped(tmp_path / "set.zip", files | {"train/stray.png": png(VAL[1]), "val/broken.png": b""}))
    assert packed.train.labels.tolist() == [0, 1]
    assert "2 files outside" in packed.notices[0]


def test_labels_of_the_training_images_alone_are_refused(tmp_path: Path) -> None:
    files = {f"train/{label}/1.png": png(VAL[0]) for label in "ab"} | {"val/1.png": png(VAL[0])}
    with pytest.raises(LayoutInvalid, match="of train have no image in val"):
        open_dataset(zipped(tmp_path / "set.zip", files))
    np.savez(tmp_path / "set.npz", train_images=TRAIN, train_labels=[0, 1] * 10, val_images=VAL)
    with pytest.raises(LayoutInvalid, match="those of val have none"):
        open_dataset(tmp_path / "set.npz")


def test_a_broken_image_without_a_label_is_named_as_it_is_in_the_archive(tmp_path: Path) -> None:
    train = {"00.png": b"broken"} | {f"{row:02}.png": png(image) for row, image in enumerate(TRAIN) if row}
    files = {"train-0.tar": tarred(train), "val-0.tar": tarred({"0.png": png(VAL[0])})}
    with pytest.raises(ImageUnreadable, match=r"^train/train-0\.tar/00 is not an image"):
        open_dataset(zipped(tmp_path / "set.zip", files))


def test_images_without_labels_may_stay_on_disk(tmp_path: Path) -> None:
    path = folders(tmp_path, None)
    packed = open_dataset(path, Reading(memory_bytes=100, cache=tmp_path / "cache"))
    assert packed.on_disk
    assert contents(packed) == EXPECTED
