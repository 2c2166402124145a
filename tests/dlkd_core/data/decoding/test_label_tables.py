"""Tests for labels in tables beside the images."""

import json
from pathlib import Path

import numpy as np
import pytest

from dlkd_core.data import open_dataset
from dlkd_core.data.dataset import ImageDataset
from dlkd_core.errors import LayoutInvalid
from tests.dlkd_core.data.sample_images import encode_png, write_zip

LABELS = ["ant", "bee"] * 10
VALUES = [10 * number for number in range(20)]


def list_files(pattern: str) -> dict[str, bytes]:
    """Return twenty images of different brightness, under names made from the pattern."""
    return {
        pattern.format(number): encode_png(np.full((4, 4, 3), value, np.uint8))
        for number, value in enumerate(VALUES)
    }


def open_files(tmp_path: Path, files: dict[str, bytes]) -> ImageDataset:
    return open_dataset(write_zip(tmp_path / "set.zip", files))


def check_labels(dataset: ImageDataset) -> None:
    """Check that each image, known by its brightness, has its label."""
    assert dataset.classes == ("ant", "bee")
    for split in (dataset.train, dataset.val):
        for image, label in zip(split.images[:], split.labels, strict=True):
            number = int(image[0, 0, 0]) // 10
            assert dataset.classes[label] == LABELS[number]
    assert len(dataset.train) + len(dataset.val) == 20


TABLES = {
    "file names": ("images/{}.png", "images/labels.csv", "file,label\n{}.png,{}"),
    "stems": ("images/{}.png", "labels.csv", "id,breed\n{},{}"),
    "paths": ("images/{}.png", "train.csv", "image_path;class\nimages/{}.png;{}"),
    "Hugging Face": ("train/{}.png", "train/metadata.csv", "file_name,label\n{}.png,{}"),
    "tabs": ("pictures/{}.png", "pictures.tsv", "name\tspecies\n{}.png\t{}"),
    "two columns": ("x/{}.png", "x/list.csv", "image,answer\n{}.png,{}"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_labels_are_read_from_tables(tmp_path: Path, kind: str) -> None:
    pattern, table, text = TABLES[kind]
    header, row = text.split("\n")
    rows = [row.format(number, label) for number, label in enumerate(LABELS)]
    dataset = open_files(
        tmp_path, list_files(pattern) | {table: "\r\n".join([header, *rows]).encode()}
    )
    check_labels(dataset)
    assert f"The labels are those in {table}." in dataset.notices
    assert not any("not images" in notice for notice in dataset.notices)


def test_json_lines_are_a_table(tmp_path: Path) -> None:
    rows = [
        json.dumps({"file_name": f"{number}.png", "label": label, "width": 4})
        for number, label in enumerate(LABELS)
    ]
    table = {"train/metadata.jsonl": "\n".join(rows).encode()}
    check_labels(open_files(tmp_path, list_files("train/{}.png") | table))


def test_a_column_or_the_name_of_the_table_gives_the_split(tmp_path: Path) -> None:
    rows = [
        f"{number}.png,{label},{'valid' if number >= 16 else 'train'}"
        for number, label in enumerate(LABELS)
    ]
    by_column = {"data.csv": "\n".join(["file,label,split", *rows]).encode()}
    dataset = open_files(tmp_path, list_files("images/{}.png") | by_column)
    check_labels(dataset)
    assert len(dataset.val) == 4
    pairs = [f"{number}.png,{label}" for number, label in enumerate(LABELS)]
    by_table = {
        "train.csv": "\n".join(["file,label", *pairs[:14]]).encode(),
        "test.csv": "\n".join(["file,label", *pairs[14:]]).encode(),
    }
    dataset = open_files(tmp_path, list_files("images/{}.png") | by_table)
    check_labels(dataset)
    assert len(dataset.val) == 6


def test_an_unclear_column_of_labels_is_asked_for(tmp_path: Path) -> None:
    rows = [f"{number}.png,{label},{number}" for number, label in enumerate(LABELS)]
    table = {"labels.csv": "\n".join(["file,animal,age", *rows]).encode()}
    with pytest.raises(LayoutInvalid, match="columns has the labels: animal, age") as rejected:
        open_files(tmp_path, list_files("images/{}.png") | table)
    assert "Name the column label" in rejected.value.hint


def test_class_folders_come_before_tables(tmp_path: Path) -> None:
    files = {
        f"train/{label}/{name}": content
        for label, (name, content) in zip(LABELS, list_files("{}.png").items(), strict=True)
    }
    table = {"labels.csv": b"file,label\n0.png,wasp\n1.png,wasp"}
    dataset = open_files(tmp_path, files | table)
    check_labels(dataset)
    assert "1 file that is not an image was ignored." in dataset.notices


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"{not json}\n", b"a,b\n1,2\n", b'"unclosed\n1,2']
)
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_other_tables_are_ignored(tmp_path: Path, content: bytes, suffix: str) -> None:
    dataset = open_files(tmp_path, list_files("train/{}.png") | {f"other.{suffix}": content})
    assert dataset.classes == ()


def test_the_val_classes_of_tiny_imagenet_are_those_in_its_file(tmp_path: Path) -> None:
    files = list_files("tiny/val/images/val_{}.JPEG")
    files |= {
        f"tiny/train/{label}/images/{label}_0.JPEG": files["tiny/val/images/val_1.JPEG"]
        for label in ("ant", "bee")
    }
    lines = (f"val_{number}.JPEG\t{label}\t0\t0\t9\t9" for number, label in enumerate(LABELS))
    files["tiny/val/val_annotations.txt"] = "\n".join(lines).encode()
    dataset = open_files(tmp_path, files)
    assert (dataset.classes, len(dataset.train)) == (("ant", "bee"), 2)
    for image, label in zip(dataset.val.images[:], dataset.val.labels, strict=True):
        assert dataset.classes[label] == LABELS[int(image[0, 0, 0]) // 10]


@pytest.mark.parametrize(("yes", "no"), [("1", "0"), ("1.0", "0.0")])
def test_a_column_per_class_marks_the_class(tmp_path: Path, yes: str, no: str) -> None:
    rows = [
        f"{number}.png,{yes if label == 'ant' else no},{yes if label == 'bee' else no}"
        for number, label in enumerate(LABELS)
    ]
    files = list_files("{}.png") | {"labels.csv": "\n".join(["file,ant,bee", *rows]).encode()}
    check_labels(open_files(tmp_path, files))


def test_several_marked_classes_are_refused(tmp_path: Path) -> None:
    rows = [f"{number}.png,1,{number % 2}" for number in range(20)]
    files = list_files("{}.png") | {"labels.csv": "\n".join(["file,ant,bee", *rows]).encode()}
    with pytest.raises(LayoutInvalid, match="marks several classes or none"):
        open_files(tmp_path, files)


def test_a_table_means_the_images_beside_it(tmp_path: Path) -> None:
    """The splits have images of the same names with other labels."""
    files = {}
    for split, shift in (("train", 0), ("valid", 1)):
        files |= list_files(split + "/{}.png")
        rows = (f"{number}.png,{LABELS[(number + shift) % 20]}" for number in range(20))
        files[f"{split}/labels.csv"] = "\n".join(["file,label", *rows]).encode()
    dataset = open_files(tmp_path, files)
    for part, shift in ((dataset.train, 0), (dataset.val, 1)):
        assert len(part) == 20
        for image, label in zip(part.images[:], part.labels, strict=True):
            number = int(image[0, 0, 0]) // 10
            assert dataset.classes[label] == LABELS[(number + shift) % 20]
