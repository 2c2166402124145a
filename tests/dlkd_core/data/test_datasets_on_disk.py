"""Tests for datasets that do not fit in memory.

Such a dataset is decoded once and kept on disk. The images equal those decoded in memory.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dlkd_core.data import ImageDataset, ReadOptions, open_dataset
from dlkd_core.data.augmentation.views import Augmentation
from dlkd_core.data.batches import BatchLoader
from dlkd_core.data.host_images import HostImages
from dlkd_core.data.inspection import inspect_dataset
from dlkd_core.errors import ArchiveUnreadable, DatasetError, DatasetTooLarge
from dlkd_core.evaluation import predict
from dlkd_core.teachers.normalization import channel_statistics
from tests.dlkd_core.data.formats.test_reader import NAMED, NUMBERED
from tests.dlkd_core.data.sample_images import encode_png, random_images, write_zip

SMALL = 1000  # memory limit in bytes, too small for the images


def make_files(count: int = 40) -> dict[str, bytes]:
    images = [encode_png(image) for image in random_images(count)]
    return {
        f"{split}/{'ab'[row % 2]}/{row:03}.png": image
        for split in ("train", "val", "test")
        for row, image in enumerate(images)
    }


def all_tensors(dataset: ImageDataset) -> list[torch.Tensor]:
    return [part for split in dataset.splits.values() for part in (split.images[:], split.labels)]


def is_equal(first: ImageDataset, second: ImageDataset) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip(all_tensors(first), all_tensors(second), strict=True)
    )


@pytest.mark.parametrize("name", ["folders", "parquet", "webdataset", "shards"])
def test_a_data_set_on_disk_equals_the_one_in_memory_and_is_decoded_once(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = (
        write_zip(tmp_path / "set.zip", make_files())
        if name == "folders"
        else (NAMED | NUMBERED)[name](tmp_path)
    )
    options = ReadOptions(max_memory_bytes=SMALL, cache_dir=tmp_path / "cache")
    first = open_dataset(path, options)
    assert first.on_disk
    assert not open_dataset(path).on_disk
    assert is_equal(first, open_dataset(path))
    monkeypatch.setattr("dlkd_core.data.dataset.decode_dataset", None)  # fails if it is called
    cached = open_dataset(path, options)
    assert cached.on_disk
    assert (cached.classes, cached.notices) == (first.classes, first.notices)
    assert is_equal(first, cached)


def test_other_options_or_a_changed_source_are_decoded_again(tmp_path: Path) -> None:
    folder, cache = tmp_path / "set", tmp_path / "cache"
    for name, content in make_files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    options = ReadOptions(max_memory_bytes=SMALL, cache_dir=cache)
    open_dataset(folder, options)
    open_dataset(folder, options)
    assert len(list(cache.iterdir())) == 1
    open_dataset(folder, ReadOptions(max_memory_bytes=SMALL, cache_dir=cache, image_size=6))
    assert len(list(cache.iterdir())) == 2
    (folder / "train/a/000.png").write_bytes(encode_png(random_images(1, seed=99)[0]))
    changed = open_dataset(folder, options)
    assert len(list(cache.iterdir())) == 3
    assert torch.equal(
        changed.train.images[:1], torch.from_numpy(random_images(1, seed=99).transpose(0, 3, 1, 2))
    )


def test_without_a_cache_nothing_is_left_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_zip(tmp_path / "set.zip", make_files())
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    dataset = open_dataset(path, ReadOptions(max_memory_bytes=SMALL))
    assert dataset.on_disk
    assert is_equal(dataset, open_dataset(path))
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_broken_image_is_skipped_on_disk_as_in_memory(tmp_path: Path) -> None:
    files = make_files(200)
    files["train/a/100.png"] = files["train/a/100.png"][:120]
    path = write_zip(tmp_path / "set.zip", files)
    dataset = open_dataset(path, ReadOptions(max_memory_bytes=SMALL, cache_dir=tmp_path / "cache"))
    assert len(dataset.train) == 199
    assert is_equal(dataset, open_dataset(path))


def test_a_val_split_is_held_out_on_disk_as_in_memory(tmp_path: Path) -> None:
    path = write_zip(
        tmp_path / "set.zip",
        {name: content for name, content in make_files().items() if name.startswith("train")},
    )
    dataset = open_dataset(path, ReadOptions(max_memory_bytes=SMALL, cache_dir=tmp_path / "cache"))
    assert (len(dataset.train), len(dataset.val)) == (36, 4)
    assert is_equal(dataset, open_dataset(path))


def test_inspection_writes_the_same_packed_file_with_any_amount_of_memory(
    tmp_path: Path,
) -> None:
    path = write_zip(tmp_path / "set.zip", make_files())
    results = []
    for name, options in (("little", ReadOptions(max_memory_bytes=SMALL)), ("much", ReadOptions())):
        (tmp_path / name).mkdir()
        report = inspect_dataset(path, tmp_path / name, options)
        results.append((report, (tmp_path / name / "packed.safetensors").read_bytes()))
    assert results[0] == results[1]
    dataset = open_dataset(
        tmp_path / "little" / "packed.safetensors", ReadOptions(max_memory_bytes=SMALL)
    )
    assert dataset.on_disk
    assert is_equal(dataset, open_dataset(path))


_OPEN_UNDER_A_LIMIT = """
import re, resource, sys
from pathlib import Path
from dlkd_core.data import ReadOptions, open_dataset
data = int(re.search(r"VmData:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) << 10
resource.setrlimit(resource.RLIMIT_DATA, (data + (24 << 20),) * 2)
dataset = open_dataset(Path(sys.argv[1]), ReadOptions(max_memory_bytes=int(sys.argv[2])))
images, starts = dataset.train.images, range(0, len(dataset.train), 8)
print(dataset.on_disk, sum(int(images[start : start + 8].count_nonzero()) for start in starts))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs the process limits of Linux")
def test_a_mapped_packed_file_does_not_count_against_the_memory_limit_of_a_process(
    tmp_path: Path,
) -> None:
    images = np.ones((256, 256, 256, 3), np.uint8)  # 48 MiB
    np.savez(tmp_path / "set.npz", train_images=images, val_images=images[:2])
    open_dataset(tmp_path / "set.npz", ReadOptions(max_memory_bytes=1 << 30)).save(
        tmp_path / "packed.safetensors"
    )

    def open_with(memory: int) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-c",
            _OPEN_UNDER_A_LIMIT,
            tmp_path / "packed.safetensors",
            str(memory),
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert open_with(16 << 20).stdout.split() == ["True", str(images.size)]
    assert open_with(1 << 30).returncode != 0  # reading the images into memory exceeds the limit


def test_a_truncated_packed_file_is_refused(tmp_path: Path) -> None:
    open_dataset(write_zip(tmp_path / "set.zip", make_files())).save(
        tmp_path / "packed.safetensors"
    )
    content = (tmp_path / "packed.safetensors").read_bytes()
    for length in (3, 100, len(content) - 10):
        (tmp_path / "packed.safetensors").write_bytes(content[:length])
        for memory in (SMALL, 1 << 30):
            with pytest.raises(ArchiveUnreadable):
                open_dataset(tmp_path / "packed.safetensors", ReadOptions(max_memory_bytes=memory))


def make_batches(dataset: ImageDataset, kind: Any = "single") -> BatchLoader:
    return BatchLoader(dataset.train, 16, Augmentation(kind, padding=1), seed=3)


@pytest.mark.parametrize("kind", ["single", "rotation4", "moco"])
def test_batches_on_disk_equal_those_in_memory_from_any_step_on(kind: Any, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "set.zip", make_files())
    memory, disk = open_dataset(path), open_dataset(path, ReadOptions(max_memory_bytes=SMALL))
    for start in (0, 2, 4):
        pairs = zip(
            make_batches(memory, kind).iterate(start, 7),
            make_batches(disk, kind).iterate(start, 7),
            strict=True,
        )
        for (images, targets), (disk_images, disk_targets) in pairs:
            assert torch.equal(images, disk_images)
            assert torch.equal(targets.labels, disk_targets.labels)
            assert torch.equal(targets.indices, disk_targets.indices)
            assert targets.epoch == disk_targets.epoch


def test_statistics_and_logits_do_not_depend_on_where_the_images_are(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "set.zip", make_files(300))  # more than one chunk
    memory, disk = open_dataset(path), open_dataset(path, ReadOptions(max_memory_bytes=SMALL))
    assert channel_statistics(memory.train) == channel_statistics(disk.train)
    exact = (memory.train.images.double() / 255).mean(dim=(0, 2, 3))
    assert torch.allclose(
        torch.tensor(channel_statistics(disk.train).mean, dtype=torch.float64), exact, atol=1e-12
    )
    rows = slice(250, 290)
    parts = [
        predict(lambda images: images.mean(dim=(2, 3)), dataset.val.images, rows)
        for dataset in (memory, disk)
    ]
    assert parts[0].shape == (40, 3)
    assert torch.equal(*parts)


def test_indexing_images_on_disk_returns_copies() -> None:
    images = HostImages(np.zeros((4, 3, 2, 2), np.uint8))
    images[:2].fill_(7)
    images[torch.tensor([3])].fill_(7)
    assert not images.pixels.any()


@pytest.mark.parametrize("name", ["npz", "cifar10", "keras"])
def test_arrays_that_do_not_fit_in_memory_are_refused_with_a_hint(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match=r"larger than|more than the limit") as caught:
        open_dataset((NAMED | NUMBERED)[name](tmp_path), ReadOptions(max_memory_bytes=SMALL))
    assert "Parquet or WebDataset" in caught.value.hint


def test_a_data_set_that_does_not_fit_on_disk_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 20_000})())
    with pytest.raises(DatasetTooLarge, match="does not fit in memory"):
        open_dataset(
            write_zip(tmp_path / "set.zip", make_files(100)),
            ReadOptions(max_memory_bytes=SMALL, cache_dir=tmp_path),
        )
