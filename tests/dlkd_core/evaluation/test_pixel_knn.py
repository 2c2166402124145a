"""Tests for the k-NN classification of raw pixels."""

import torch

from dlkd_core.data.dataset import DatasetSplit, ImageDataset
from dlkd_core.evaluation.pixel_knn import measure_pixel_knn_top1


def make_split(count: int, seed: int, side: int = 32, signal: float = 60.0) -> DatasetSplit:
    """Return noisy images in 4 classes. The class is the quadrant that is brighter by `signal`."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 4
    images = 100 + 20 * torch.randn(count, 3, side, side, generator=generator)
    half = side // 2
    for row, label in enumerate(labels.tolist()):
        top, left = (label // 2) * half, (label % 2) * half
        images[row, :, top : top + half, left : left + half] += signal
    return DatasetSplit(images.clamp(0, 255).to(torch.uint8), labels)


def test_classes_that_pixels_tell_apart_are_found_and_the_result_is_deterministic() -> None:
    data = ImageDataset(make_split(400, 0), make_split(100, 1), ("a", "b", "c", "d"))
    assert measure_pixel_knn_top1(data) == measure_pixel_knn_top1(data) == 1.0


def test_without_a_signal_the_accuracy_is_that_of_guessing() -> None:
    train, val = (make_split(400, seed, signal=0) for seed in (0, 1))
    assert 0.15 < measure_pixel_knn_top1(ImageDataset(train, val, ("a", "b", "c", "d"))) < 0.35


def test_small_images_and_unlabeled_training_images_are_supported() -> None:
    train, val = make_split(80, 0, side=4), make_split(80, 1, side=4)
    unlabeled = DatasetSplit(train.images, torch.full_like(train.labels, -1))
    classes = ("a", "b", "c", "d")
    assert measure_pixel_knn_top1(ImageDataset(train, val, classes)) > 0.9
    assert measure_pixel_knn_top1(ImageDataset(unlabeled, val, classes)) > 0.9
