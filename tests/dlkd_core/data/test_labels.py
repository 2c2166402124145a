"""Few labels and wrong ones: as many as were asked for, the same for the same seed, and none of the val split's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dlkd_core.data.host_images import HostImages
from dlkd_core.data.labels import as_asked, few, noisy
from dlkd_core.data.packed import Packed, Split
from dlkd_core.events import Finished
from dlkd_core.pipeline import run
from dlkd_core.training_spec import TrainingSpec
from tests.dlkd_core.conftest import MakeSpec

CLASSES, COUNT = 5, 1000


@pytest.fixture
def split() -> Split:
    """Classes of 100 to 300 images, mixed; the first pixel of an image is its row's last digits."""
    labels = torch.repeat_interleave(torch.arange(CLASSES), torch.tensor([100, 150, 200, 250, 300]))
    labels = labels[torch.randperm(COUNT, generator=torch.Generator().manual_seed(0))]
    images = (torch.arange(COUNT) % 256).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 4, 4).contiguous()
    return Split(images, labels)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_few_keeps_the_share_of_every_class_with_its_images(split: Split, share: float) -> None:
    found = few(split, share, seed=1)
    assert torch.bincount(found.labels).tolist() == [round(n * share) for n in (100, 150, 200, 250, 300)]
    pairs = {(int(image[0, 0, 0]), int(label)) for image, label in zip(split.images, split.labels, strict=True)}
    assert {(int(image[0, 0, 0]), int(label)) for image, label in zip(found.images, found.labels, strict=True)} <= pairs


def test_few_draws_from_the_seed_and_leaves_no_class_empty(split: Split) -> None:
    one, same, other = (few(split, 0.5, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.images, same.images)
    assert not torch.equal(one.images, other.images)
    assert torch.bincount(few(split, 0.001, seed=0).labels).tolist() == [1] * CLASSES


def test_images_on_disk_stay_there(split: Split) -> None:
    assert isinstance(split.images, torch.Tensor)
    on_disk = Split(HostImages(split.images.numpy(), rows=np.arange(COUNT)[::-1].copy()), split.labels.flip(0))
    found = few(few(on_disk, 0.5, seed=1), 0.5, seed=2)
    assert isinstance(found.images, HostImages)
    assert len(found.images) == len(found.labels)
    pairs = set(zip(split.images[:, 0, 0, 0].tolist(), split.labels.tolist(), strict=True))
    assert set(zip(found.images[:][:, 0, 0, 0].tolist(), found.labels.tolist(), strict=True)) <= pairs


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_noise_permutes_the_labels_of_exactly_that_share(split: Split, share: float) -> None:
    found = noisy(split, share, seed=1)
    assert found.images is split.images
    assert torch.equal(torch.bincount(found.labels), torch.bincount(split.labels))
    changed = int((found.labels != split.labels).sum())
    kept_by_chance = sum((n / COUNT) ** 2 for n in (100, 150, 200, 250, 300))
    assert changed <= share * COUNT
    assert changed == pytest.approx(share * COUNT * (1 - kept_by_chance), rel=0.1)


def test_noise_draws_from_the_seed(split: Split) -> None:
    one, same, other = (noisy(split, 0.5, seed=seed).labels for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_val_is_never_touched_and_without_a_wish_nothing_is(split: Split) -> None:
    data = Packed(split, Split(split.images[:50], split.labels[:50]), tuple("abcde"))
    asked = as_asked(data, TrainingSpec(label_share=0.5, label_noise=0.5))
    assert asked.val is data.val
    assert len(asked.train) == COUNT // 2
    assert as_asked(data, TrainingSpec()) == data


def finished(make_spec: MakeSpec, folder: Path, **training: Any) -> dict[str, Any]:
    last = list(run(make_spec(training=training), folder))[-1]
    assert isinstance(last, Finished)
    return last.report


def test_a_run_says_what_it_saw_and_is_another_run(make_spec: MakeSpec, tmp_path: Path) -> None:
    plain = finished(make_spec, tmp_path / "plain", epochs=8)
    share = finished(make_spec, tmp_path / "share", epochs=1, label_share=0.25)
    noise = finished(make_spec, tmp_path / "noise", epochs=8, label_noise=1.0)
    told = [[one["lineage"][name] for name in ("training_images", "label_share", "label_noise")] for one in (plain, share, noise)]
    assert told == [[120, None, None], [30, 0.25, None], [120, None, 1.0]]
    assert len({one["lineage"]["run"] for one in (plain, share, noise)}) == 3
    assert plain["metrics"]["student"]["top1"] > 0.9
    assert noise["metrics"]["student"]["top1"] < 0.7  # nothing can be learnt from labels that mean nothing
    assert noise["metrics"]["student"]["images"] == 60
