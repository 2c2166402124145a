"""What a teacher answered before comes from the file, bit for bit, and nothing else does."""

from pathlib import Path

import torch
from torch import Tensor

from dlkd_core.outputs import Outputs
from dlkd_core.teacher_cache import TeacherCache


class Counting:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, images: Tensor) -> Outputs:
        self.calls += 1
        flat = images.flatten(1)
        return Outputs(flat[:, :5].sin(), flat[:, :7].exp(), (images,))


def test_the_same_batch_is_computed_once_over_processes_lifetimes(tmp_path: Path) -> None:
    images, teacher = torch.rand(4, 3, 8, 8), Counting()
    first = TeacherCache(teacher, tmp_path / "outputs.sqlite", "teacher")
    computed = first(images)
    first.close()
    kept = TeacherCache(teacher, tmp_path / "outputs.sqlite", "teacher")(images)
    assert teacher.calls == 1
    assert torch.equal(kept.logits, images.flatten(1)[:, :5].sin())
    assert torch.equal(kept.features, computed.features)
    assert kept.maps == computed.maps == ()


def test_another_image_order_or_teacher_is_another_entry(tmp_path: Path) -> None:
    images, teacher = torch.rand(4, 3, 8, 8), Counting()
    cache = TeacherCache(teacher, tmp_path / "outputs.sqlite", "teacher")
    cache(images)
    cache(images.flip(0))
    changed = images.clone()
    changed[0, 0, 0, 0] += 1 / 255
    cache(changed)
    TeacherCache(teacher, tmp_path / "outputs.sqlite", "another")(images)
    assert (teacher.calls, cache.hits, cache.misses) == (4, 0, 3)


def test_beyond_its_budget_nothing_more_is_kept(tmp_path: Path) -> None:
    teacher = Counting()
    cache = TeacherCache(teacher, tmp_path / "outputs.sqlite", "teacher", budget=0)
    images = torch.rand(4, 3, 8, 8)
    assert torch.equal(cache(images).logits, cache(images).logits)
    assert teacher.calls == 2


def test_logits_of_no_width_survive(tmp_path: Path) -> None:
    def backbone(images: Tensor) -> Outputs:
        return Outputs(images.new_empty(len(images), 0), images.flatten(1), ())

    cache = TeacherCache(backbone, tmp_path / "outputs.sqlite", "backbone")
    images = torch.rand(4, 3, 8, 8)
    assert cache(images).logits.shape == cache(images).logits.shape == (4, 0)
    assert cache.hits == 1
