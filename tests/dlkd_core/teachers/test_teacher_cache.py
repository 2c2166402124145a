"""Tests that the teacher cache returns bit-identical outputs for the same batch and teacher."""

from pathlib import Path

import torch
from torch import Tensor

from dlkd_core.network_outputs import Outputs
from dlkd_core.teachers.teacher_cache import TeacherCache


class CountingTeacher:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, images: Tensor) -> Outputs:
        self.calls += 1
        flat = images.flatten(1)
        return Outputs(flat[:, :5].sin(), flat[:, :7].exp(), (images,))


def test_a_batch_is_computed_once_across_caches_of_one_file(tmp_path: Path) -> None:
    images, teacher = torch.rand(4, 3, 8, 8), CountingTeacher()
    first = TeacherCache(teacher, tmp_path / "outputs.sqlite", "teacher")
    computed = first(images)
    first.close()
    cached = TeacherCache(teacher, tmp_path / "outputs.sqlite", "teacher")(images)
    assert teacher.calls == 1
    assert torch.equal(cached.logits, images.flatten(1)[:, :5].sin())
    assert torch.equal(cached.features, computed.features)
    assert cached.feature_maps == computed.feature_maps == ()


def test_another_image_order_or_teacher_misses_the_cache(tmp_path: Path) -> None:
    images, teacher = torch.rand(4, 3, 8, 8), CountingTeacher()
    cache = TeacherCache(teacher, tmp_path / "outputs.sqlite", "teacher")
    cache(images)
    cache(images.flip(0))
    changed = images.clone()
    changed[0, 0, 0, 0] += 1 / 255
    cache(changed)
    TeacherCache(teacher, tmp_path / "outputs.sqlite", "another")(images)
    assert (teacher.calls, cache.hits, cache.misses) == (4, 0, 3)


def test_nothing_is_added_above_the_size_limit(tmp_path: Path) -> None:
    teacher = CountingTeacher()
    cache = TeacherCache(teacher, tmp_path / "outputs.sqlite", "teacher", max_bytes=0)
    images = torch.rand(4, 3, 8, 8)
    assert torch.equal(cache(images).logits, cache(images).logits)
    assert teacher.calls == 2


def test_logits_without_classes_are_cached(tmp_path: Path) -> None:
    def backbone(images: Tensor) -> Outputs:
        return Outputs(images.new_empty(len(images), 0), images.flatten(1), ())

    cache = TeacherCache(backbone, tmp_path / "outputs.sqlite", "backbone")
    images = torch.rand(4, 3, 8, 8)
    assert cache(images).logits.shape == cache(images).logits.shape == (4, 0)
    assert cache.hits == 1
