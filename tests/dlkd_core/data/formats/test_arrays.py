"""Tests for NumPy archives with three splits."""

from pathlib import Path

import numpy as np
import pytest

from dlkd_core.data import open_dataset
from tests.dlkd_core.data.sample_images import random_images


def write_splits(path: Path, test_labels: list[int] | None) -> Path:
    """Write a .npz as MedMNIST does, with labels of the shape (N, 1)."""
    arrays = {}
    for split, labels in (("train", [0, 1] * 4), ("val", [0, 1]), ("test", test_labels)):
        count = 6 if labels is None else len(labels)
        arrays[f"{split}_images"] = random_images(count)
        if labels is not None:
            arrays[f"{split}_labels"] = np.array(labels, np.uint8).reshape(-1, 1)
    np.savez(path, **arrays)
    return path


def test_a_test_split_beside_a_val_split_is_kept(tmp_path: Path) -> None:
    dataset = open_dataset(write_splits(tmp_path / "medmnist.npz", [1, 0, 1]))
    assert (len(dataset.train), len(dataset.val)) == (8, 2)
    assert dataset.test is not None
    assert dataset.test.labels.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("labels", "reason"),
    [(None, "its images have no labels"), ([0, 7], "no other split has the class '7'")],
)
def test_a_test_split_that_cannot_be_scored_is_dropped(
    tmp_path: Path, labels: list[int] | None, reason: str
) -> None:
    dataset = open_dataset(write_splits(tmp_path / "medmnist.npz", labels))
    assert dataset.test is None
    assert any(f"is not used: {reason}." in notice for notice in dataset.notices)
