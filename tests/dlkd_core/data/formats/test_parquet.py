"""Tests for the columns and files of Parquet datasets."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from dlkd_core.data import open_dataset
from dlkd_core.data.dataset import ImageDataset
from dlkd_core.errors import DatasetError, LayoutInvalid
from tests.dlkd_core.data.sample_images import encode_png, write_zip

WORDS = ["dog", "ant", "cat"]


def write_table(columns: dict[str, Any], count: int) -> bytes:
    """Return a Parquet file with `count` images of brightness 10 * (row % 3) and more columns."""
    images = [encode_png(np.full((4, 4, 3), 10 * (row % 3), np.uint8)) for row in range(count)]
    stream = io.BytesIO()
    pq.write_table(
        pa.table(
            {"image": pa.array([{"bytes": image, "path": None} for image in images])} | columns
        ),
        stream,
    )
    return stream.getvalue()


def open_tables(tmp_path: Path, tables: dict[str, bytes]) -> ImageDataset:
    return open_dataset(write_zip(tmp_path / "set.zip", tables))


@pytest.mark.parametrize("column", ["label", "class", "animal"])
@pytest.mark.parametrize("kind", ["words", "dictionary"])
def test_words_are_labels_in_alphabetical_order(tmp_path: Path, column: str, kind: str) -> None:
    def table(count: int) -> bytes:
        labels = pa.array([WORDS[row % 3] for row in range(count)])
        encoded = labels.dictionary_encode() if kind == "dictionary" else labels
        numbers = pa.array(range(100, 100 + count))
        return write_table({"image_id": numbers, column: encoded}, count)

    dataset = open_tables(
        tmp_path, {"data/train-0.parquet": table(12), "data/validation-0.parquet": table(6)}
    )
    assert dataset.classes == ("ant", "cat", "dog")
    assert (len(dataset.train), len(dataset.val)) == (12, 6)
    for image, label in zip(dataset.train.images[:], dataset.train.labels, strict=True):
        assert dataset.classes[label] == WORDS[int(image[0, 0, 0]) // 10]


def test_a_test_file_beside_a_validation_file_is_kept(tmp_path: Path) -> None:
    def table(count: int) -> bytes:
        return write_table({"label": pa.array([row % 3 for row in range(count)])}, count)

    dataset = open_tables(
        tmp_path,
        {
            f"{name}-0.parquet": table(count)
            for name, count in (("train", 9), ("dev", 6), ("test", 3))
        },
    )
    assert (len(dataset.train), len(dataset.val)) == (9, 6)
    assert dataset.test is not None
    assert dataset.test.labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("label", [-1, None])
def test_a_test_file_with_secret_labels_is_not_used(tmp_path: Path, label: int | None) -> None:
    tables = {
        name: write_table({"label": pa.array(labels, pa.int64())}, len(labels))
        for name, labels in (("train", [0, 1] * 3), ("val", [0, 1]), ("test", [label] * 4))
    }
    dataset = open_tables(tmp_path, {f"{name}.parquet": table for name, table in tables.items()})
    assert dataset.test is None
    assert "The test split (4 images) is not used: its images have no labels." in dataset.notices


def test_an_id_is_no_label(tmp_path: Path) -> None:
    table = write_table({"image_id": pa.array(range(20)), "width": pa.array([4] * 20)}, 20)
    dataset = open_tables(tmp_path, {"train.parquet": table})
    assert dataset.classes == ()


@pytest.mark.parametrize(
    "columns",
    [
        {"objects": [{"bbox": [[0.0, 0.0, 1.0, 1.0]], "category": [1]}] * 6},
        {"caption": ["a dog"] * 6, "score": list(range(6))},
    ],
    ids=["boxes", "several candidates"],
)
def test_an_unclear_column_of_labels_is_asked_for(
    tmp_path: Path, columns: dict[str, list[Any]]
) -> None:
    arrays = {name: pa.array(values) for name, values in columns.items()}
    with pytest.raises(LayoutInvalid, match="no clear column of classes") as rejected:
        open_tables(tmp_path, {"train.parquet": write_table(arrays, 6)})
    assert all(name in rejected.value.message for name in columns)
    assert "a column named label" in rejected.value.hint


def test_a_number_that_cannot_be_a_class_index_is_refused(tmp_path: Path) -> None:
    table = write_table({"label": pa.array([10**12, 1, 2])}, 3)
    with pytest.raises(LayoutInvalid, match="The largest label is 1000000000000"):
        open_tables(tmp_path, {"train.parquet": table})


def test_numbers_and_words_are_not_mixed(tmp_path: Path) -> None:
    tables = {
        "train.parquet": write_table({"label": pa.array([0, 1, 2])}, 3),
        "val.parquet": write_table({"label": pa.array(WORDS)}, 3),
    }
    with pytest.raises(LayoutInvalid, match="numbers in some files and words in others"):
        open_tables(tmp_path, tables)


def write_arrow(table: Any, kind: str) -> bytes:
    stream = io.BytesIO()
    with (pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file)(stream, table.schema) as file:
        file.write_table(table, max_chunksize=200)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["stream", "file"])
def test_arrow_equals_parquet(tmp_path: Path, kind: str) -> None:
    parquet = write_table({"label": pa.array([WORDS[row % 3] for row in range(150)])}, 150)
    arrow = write_arrow(pq.read_table(io.BytesIO(parquet)), kind)
    (tmp_path / "other").mkdir()
    expected = open_tables(tmp_path / "other", {"set/train.parquet": parquet})
    dataset = open_tables(tmp_path, {"set/train.arrow": arrow})
    assert dataset.classes == expected.classes
    assert torch.equal(dataset.train.labels, expected.train.labels)
    assert torch.equal(dataset.train.images[:], expected.train.images[:])


@pytest.mark.parametrize("kind", ["stream", "file", "parquet"])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    content = write_table({"label": pa.array([row % 2 for row in range(60)])}, 60)
    if kind != "parquet":
        content = write_arrow(pq.read_table(io.BytesIO(content)), kind)
    middle = len(content) // 2
    damaged = content[: middle - 2000] + b"\xff" * 4000 + content[middle + 2000 :]
    for broken in (content[:middle], damaged, b""):
        suffix = "parquet" if kind == "parquet" else "arrow"
        with pytest.raises(DatasetError, match="train"):
            open_tables(tmp_path, {f"train.{suffix}": broken})
