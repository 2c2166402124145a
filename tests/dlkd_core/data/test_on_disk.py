"""Sets that memory is not to hold: on disk they are what they would be in memory, and are decoded once."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dlkd_core.data import Packed, Reading, open_dataset
from dlkd_core.data.batches import Batches
from dlkd_core.data.host_images import HostImages
from dlkd_core.data.inspect import inspect_dataset
from dlkd_core.data.views import Augmentation
from dlkd_core.errors import ArchiveUnreadable, DatasetError, DatasetTooLarge
from dlkd_core.evaluation import logits_of
from dlkd_core.teachers.proof import statistics
from tests.dlkd_core.data.pictures import noise, png, zipped
from tests.dlkd_core.data.test_forms import NAMED, NUMBERED

SMALL = 1000  # bytes: not one picture


def files(count: int = 40) -> dict[str, bytes]:
    images = [png(image) for image in noise(count)]
    return {f"{split}/{'ab'[row % 2]}/{row:03}.png": image for split in ("train", "val") for row, image in enumerate(images)}


def whole(packed: Packed) -> list[torch.Tensor]:
    return [part for split in (packed.train, packed.val) for part in (split.images[:], split.labels)]


def same(one: Packed, other: Packed) -> bool:
    return all(torch.equal(a, b) for a, b in zip(whole(one), whole(other), strict=True))


@pytest.mark.parametrize("form", ["folders", "parquet", "webdataset", "shards"])
def test_a_set_on_disk_is_the_set_in_memory_and_is_decoded_once(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped(tmp_path / "set.zip", files()) if form == "folders" else (NAMED | NUMBERED)[form](tmp_path)
    reading = Reading(memory_bytes=SMALL, cache=tmp_path / "cache")
    first = open_dataset(path, reading)
    assert first.on_disk
    assert not open_dataset(path).on_disk
    assert same(first, open_dataset(path))
    monkeypatch.setattr("dlkd_core.data.packed.decode_all", None)  # not called again
    again = open_dataset(path, reading)
    assert again.on_disk
    assert (again.classes, again.notices) == (first.classes, first.notices)
    assert same(first, again)


def test_what_is_read_otherwise_or_has_changed_is_decoded_again(tmp_path: Path) -> None:
    folder, cache = tmp_path / "set", tmp_path / "cache"
    for name, content in files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    reading = Reading(memory_bytes=SMALL, cache=cache)
    open_dataset(folder, reading)
    open_dataset(folder, reading)
    assert len(list(cache.iterdir())) == 1
    open_dataset(folder, Reading(memory_bytes=SMALL, cache=cache, size=6))
    assert len(list(cache.iterdir())) == 2
    (folder / "train/a/000.png").write_bytes(png(noise(1, seed=99)[0]))
    changed = open_dataset(folder, reading)
    assert len(list(cache.iterdir())) == 3
    assert torch.equal(changed.train.images[:1], torch.from_numpy(noise(1, seed=99).transpose(0, 3, 1, 2)))


def test_without_a_cache_nothing_is_left_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(tmp_path / "set.zip", files())
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    packed = open_dataset(path, Reading(memory_bytes=SMALL))
    assert packed.on_disk
    assert same(packed, open_dataset(path))
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_broken_image_is_left_out_on_disk_as_it_is_in_memory(tmp_path: Path) -> None:
    content = files(200)
    content["train/a/100.png"] = content["train/a/100.png"][:120]
    path = zipped(tmp_path / "set.zip", content)
    packed = open_dataset(path, Reading(memory_bytes=SMALL, cache=tmp_path / "cache"))
    assert len(packed.train) == 199
    assert same(packed, open_dataset(path))


def test_a_val_split_is_made_on_disk_as_it_is_in_memory(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", {name: content for name, content in files().items() if name.startswith("train")})
    packed = open_dataset(path, Reading(memory_bytes=SMALL, cache=tmp_path / "cache"))
    assert (len(packed.train), len(packed.val)) == (36, 4)
    assert same(packed, open_dataset(path))


def test_the_check_keeps_a_packed_file_that_is_the_same_however_much_memory_there_is(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", files())
    kept = []
    for name, reading in (("little", Reading(memory_bytes=SMALL)), ("much", Reading())):
        (tmp_path / name).mkdir()
        report = inspect_dataset(path, tmp_path / name, reading)
        kept.append((report, (tmp_path / name / "packed.safetensors").read_bytes()))
    assert kept[0] == kept[1]
    packed = open_dataset(tmp_path / "little" / "packed.safetensors", Reading(memory_bytes=SMALL))
    assert packed.on_disk
    assert same(packed, open_dataset(path))


_UNDER_A_LIMIT = """
import re, resource, sys
from pathlib import Path
from dlkd_core.data import Reading, open_dataset
data = int(re.search(r"VmData:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) << 10
resource.setrlimit(resource.RLIMIT_DATA, (data + (24 << 20),) * 2)
packed = open_dataset(Path(sys.argv[1]), Reading(memory_bytes=int(sys.argv[2])))
print(packed.on_disk, sum(int(packed.train.images[at : at + 8].count_nonzero()) for at in range(0, len(packed.train), 8)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is of Linux")
def test_a_packed_file_on_disk_does_not_count_against_the_limit_of_a_process(tmp_path: Path) -> None:
    images = np.ones((256, 256, 256, 3), np.uint8)  # 48 MiB
    np.savez(tmp_path / "set.npz", train_images=images, val_images=images[:2])
    open_dataset(tmp_path / "set.npz", Reading(memory_bytes=1 << 30)).save(tmp_path / "packed.safetensors")

    def opened(memory: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", _UNDER_A_LIMIT, tmp_path / "packed.safetensors", str(memory)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert opened(16 << 20).stdout.split() == ["True", str(images.size)]
    assert opened(1 << 30).returncode != 0  # which does not fit


def test_a_packed_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    open_dataset(zipped(tmp_path / "set.zip", files())).save(tmp_path / "packed.safetensors")
    content = (tmp_path / "packed.safetensors").read_bytes()
    for length in (3, 100, len(content) - 10):
        (tmp_path / "packed.safetensors").write_bytes(content[:length])
        for memory in (SMALL, 1 << 30):
            with pytest.raises(ArchiveUnreadable):
                open_dataset(tmp_path / "packed.safetensors", Reading(memory_bytes=memory))


def batches(packed: Packed, kind: Any = "single") -> Batches:
    return Batches(packed.train, 16, Augmentation(kind, padding=1), seed=3)


@pytest.mark.parametrize("kind", ["single", "rotation4", "moco"])
def test_batches_of_images_on_disk_are_those_of_images_in_memory_from_any_step_on(kind: Any, tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", files())
    memory, disk = open_dataset(path), open_dataset(path, Reading(memory_bytes=SMALL))
    for start in (0, 2, 4):
        pairs = zip(batches(memory, kind).from_step(start, 7), batches(disk, kind).from_step(start, 7), strict=True)
        for (images, targets), (theirs, their_targets) in pairs:
            assert torch.equal(images, theirs)
            assert torch.equal(targets.labels, their_targets.labels)
            assert torch.equal(targets.rows, their_targets.rows)
            assert targets.epoch == their_targets.epoch


def test_statistics_and_logits_do_not_depend_on_where_the_images_are(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", files(300))  # more than one chunk
    memory, disk = open_dataset(path), open_dataset(path, Reading(memory_bytes=SMALL))
    assert statistics(memory.train) == statistics(disk.train)
    exact = (memory.train.images.double() / 255).mean(dim=(0, 2, 3))
    assert torch.allclose(torch.tensor(statistics(disk.train).mean, dtype=torch.float64), exact, atol=1e-12)
    rows = slice(250, 290)
    parts = [logits_of(lambda images: images.mean(dim=(2, 3)), packed.val.images, rows) for packed in (memory, disk)]
    assert parts[0].shape == (40, 3)
    assert torch.equal(*parts)


def test_images_on_disk_are_given_out_as_copies() -> None:
    images = HostImages(np.zeros((4, 3, 2, 2), np.uint8))
    images[:2].fill_(7)
    images[torch.tensor([3])].fill_(7)
    assert not images.pixels.any()


@pytest.mark.parametrize("form", ["npz", "cifar10", "keras"])
def test_arrays_that_memory_does_not_hold_are_refused_with_what_to_do(form: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"larger than|more than the limit") as caught:
        open_dataset((NAMED | NUMBERED)[form](tmp_path), Reading(memory_bytes=SMALL))
    assert "Parquet or WebDataset" in caught.value.hint


def test_a_set_that_the_disk_does_not_hold_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 20_000})())
    with pytest.raises(DatasetTooLarge, match="memory does not hold them"):
        open_dataset(zipped(tmp_path / "set.zip", files(100)), Reading(memory_bytes=SMALL, cache=tmp_path))
