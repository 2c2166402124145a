"""Tests for training splits with few or wrong labels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dlkd_core.data.dataset import DatasetSplit, ImageDataset
from dlkd_core.data.host_images import HostImages
from dlkd_core.data.label_noise import add_label_noise, apply_label_options, subsample_labels
from dlkd_core.events import RunFinished
from dlkd_core.pipeline import run
from dlkd_core.training_spec import TrainingSpec
from tests.dlkd_core.conftest import MakeSpec

CLASSES, COUNT = 5, 1000


@pytest.fixture
def split() -> DatasetSplit:
    """Return a split with five classes of 100 to 300 images in random order.

    All pixels of an image have the same value, the row number of the image modulo 256.
    """
    labels = torch.repeat_interleave(torch.arange(CLASSES), torch.tensor([100, 150, 200, 250, 300]))
    labels = labels[torch.randperm(COUNT, generator=torch.Generator().manual_seed(0))]
    images = (
        (torch.arange(COUNT) % 256)
        .to(torch.uint8)
        .view(-1, 1, 1, 1)
        .expand(-1, 3, 4, 4)
        .contiguous()
    )
    return DatasetSplit(images, labels)


@pytest.mark.parametrize("fraction", [0.25, 0.5, 0.75])
def test_subsampling_keeps_the_fraction_of_every_class_with_its_images(
    split: DatasetSplit, fraction: float
) -> None:
    result = subsample_labels(split, fraction, seed=1)
    assert torch.bincount(result.labels).tolist() == [
        round(n * fraction) for n in (100, 150, 200, 250, 300)
    ]
    pairs = {
        (int(image[0, 0, 0]), int(label))
        for image, label in zip(split.images, split.labels, strict=True)
    }
    assert {
        (int(image[0, 0, 0]), int(label))
        for image, label in zip(result.images, result.labels, strict=True)
    } <= pairs


def test_subsampling_depends_on_the_seed_and_leaves_no_class_empty(split: DatasetSplit) -> None:
    first, same, other = (subsample_labels(split, 0.5, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.images, same.images)
    assert not torch.equal(first.images, other.images)
    assert torch.bincount(subsample_labels(split, 0.001, seed=0).labels).tolist() == [1] * CLASSES


def test_images_on_disk_stay_there(split: DatasetSplit) -> None:
    assert isinstance(split.images, torch.Tensor)
    on_disk = DatasetSplit(
        HostImages(split.images.numpy(), rows=np.arange(COUNT)[::-1].copy()), split.labels.flip(0)
    )
    result = subsample_labels(subsample_labels(on_disk, 0.5, seed=1), 0.5, seed=2)
    assert isinstance(result.images, HostImages)
    assert len(result.images) == len(result.labels)
    pairs = set(zip(split.images[:, 0, 0, 0].tolist(), split.labels.tolist(), strict=True))
    assert (
        set(zip(result.images[:][:, 0, 0, 0].tolist(), result.labels.tolist(), strict=True))
        <= pairs
    )


@pytest.mark.parametrize("fraction", [0.25, 0.5, 1.0])
def test_noise_permutes_the_labels_of_the_fraction(split: DatasetSplit, fraction: float) -> None:
    result = add_label_noise(split, fraction, seed=1)
    assert result.images is split.images
    assert torch.equal(torch.bincount(result.labels), torch.bincount(split.labels))
    changed = int((result.labels != split.labels).sum())
    kept_by_chance = sum((n / COUNT) ** 2 for n in (100, 150, 200, 250, 300))
    assert changed <= fraction * COUNT
    assert changed == pytest.approx(fraction * COUNT * (1 - kept_by_chance), rel=0.1)


def test_noise_depends_on_the_seed(split: DatasetSplit) -> None:
    first, same, other = (add_label_noise(split, 0.5, seed=seed).labels for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_val_never_changes_and_without_options_nothing_does(split: DatasetSplit) -> None:
    dataset = ImageDataset(
        split, DatasetSplit(split.images[:50], split.labels[:50]), tuple("abcde")
    )
    changed = apply_label_options(dataset, TrainingSpec(label_share=0.5, label_noise=0.5))
    assert changed.val is dataset.val
    assert len(changed.train) == COUNT // 2
    assert apply_label_options(dataset, TrainingSpec()) == dataset


def run_to_end(make_spec: MakeSpec, folder: Path, **training: Any) -> dict[str, Any]:
    last = list(run(make_spec(training=training), folder))[-1]
    assert isinstance(last, RunFinished)
    return last.report


def test_a_run_reports_its_label_options_and_gets_its_own_digest(
    make_spec: MakeSpec, tmp_path: Path
) -> None:
    plain = run_to_end(make_spec, tmp_path / "plain", epochs=8)
    few = run_to_end(make_spec, tmp_path / "share", epochs=1, label_share=0.25)
    noise = run_to_end(make_spec, tmp_path / "noise", epochs=8, label_noise=1.0)
    lineages = [
        [report["lineage"][name] for name in ("training_images", "label_share", "label_noise")]
        for report in (plain, few, noise)
    ]
    assert lineages == [[120, None, None], [30, 0.25, None], [120, None, 1.0]]
    assert len({report["lineage"]["run"] for report in (plain, few, noise)}) == 3
    assert plain["metrics"]["student"]["top1"] > 0.9
    # nothing can be learned from permuted labels
    assert noise["metrics"]["student"]["top1"] < 0.7
    assert noise["metrics"]["student"]["images"] == 60
