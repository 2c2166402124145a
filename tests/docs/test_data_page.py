"""Tests that every row of the tables in docs/data.md is true of an example."""

import re
from pathlib import Path

import pytest

from dlkd_core.data import open_dataset
from dlkd_core.errors import DatasetError
from tests.docs.code_blocks import DOCS
from tests.docs.dataset_examples import ACCEPTED, REFUSED, write_example

THREE_SPLITS = {
    "YOLO classify export",
    "Roboflow folder export",
    "Hugging Face Parquet",
    "Hugging Face folder (`save_to_disk`)",
    "WebDataset shards",
    "MedMNIST npz",
}
CLASSES = {
    "Nested class folders": ("bus", "car", "cat", "dog"),
    "Numbered class folders": tuple(map(str, range(12))),
    "Tiny ImageNet": ("n01", "n02"),
    "WebDataset shards": ("0", "1"),
    "MedMNIST npz": ("0", "1"),
    "Keras npz": ("0", "1"),
    "MNIST files": ("0", "1"),
    "Images without labels": (),
}


def first_cells(section: str) -> list[str]:
    """Return the first cells of the table in a section of the page."""
    page = (DOCS / "data.md").read_text()
    text = re.split(r"^## ", page.partition(f"## {section}\n")[2], flags=re.MULTILINE)[0]
    return re.findall(r"^\| (.+?) \|", text, re.MULTILINE)[1:]


def test_the_tables_and_the_examples_have_the_same_rows() -> None:
    assert first_cells("What is accepted") == list(ACCEPTED)
    assert first_cells("What is refused") == list(REFUSED)


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_the_page_accepts_is_read(tmp_path: Path, name: str) -> None:
    dataset = open_dataset(write_example(ACCEPTED[name], tmp_path / "set.zip"))
    assert dataset.classes == CLASSES.get(name, ("cat", "dog"))
    assert dataset.train.is_labeled == dataset.val.is_labeled == bool(dataset.classes)
    assert (dataset.test is not None) == (name in THREE_SPLITS)


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_page_refuses_is_refused_with_a_hint(tmp_path: Path, name: str) -> None:
    path = write_example(REFUSED[name], tmp_path / "set.zip")
    with pytest.raises(DatasetError) as refused:
        open_dataset(path)
    assert refused.value.hint
    assert "There is no image under" not in refused.value.message
